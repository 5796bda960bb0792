/** The webhooks of the installed `plaid` package, which is newer than the document: its interfaces, whose comments name type and code. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { WebhookShape } from "../simulator/support/plaid-schema.ts";

const NAME = /^[A-Z_]+$/;
/** Requests to fire webhooks, and the list of those that were sent. */
const OTHERS = new Set(["SandboxItemFireWebhookRequest", "SandboxUserFireWebhookRequest", "WebhookEvent"]);

interface Field {
  name: string;
  optional: boolean;
  /** the first line of its comment, without backticks and quotes */
  comment: string;
}

/** @throws Error when an interface has a type and a code that cannot be read */
export function sdkWebhooks(): WebhookShape[] {
  const folder = join(createRequire(import.meta.url).resolve("plaid"), "..");
  const [, ...interfaces] = readFileSync(join(folder, "api.d.ts"), "utf8").split("\nexport interface ");
  return interfaces.flatMap((text) => {
    const name = /^\w+/.exec(text)?.[0] ?? "";
    const fields = fieldsOf(text.slice(0, text.indexOf("\n}")));
    const [type, code] = ["webhook_type", "webhook_code"].map((each) => fields.find((field) => field.name === each));
    if (!type || !code || OTHERS.has(name)) return [];
    if (!NAME.test(type.comment) || !NAME.test(code.comment)) throw new Error(`${name} names no type and code`);
    const required = fields.filter(({ optional }) => !optional).map((field) => field.name);
    return [{ name, type: type.comment, code: code.comment, fields: fields.map((field) => field.name), required }];
  });
}

const fieldsOf = (text: string): Field[] =>
  [...text.matchAll(/\/\*\*\s*\* ?(.*)\n(?:\s*\*.*\n)*\s*'?(\w+)'?(\??):/g)].map(
    ([, comment = "", name = "", optional]) => ({
      name,
      optional: optional === "?",
      comment: comment.replaceAll(/[\\`"]/g, "").trim(),
    }),
  );
