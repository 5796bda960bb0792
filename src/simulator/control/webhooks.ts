/** Sends webhooks on request: authentic ones of any type and code, and forgeries of every sort. */
import type { z } from "zod";
import type { Item } from "../item.ts";
import type { Simulation } from "../simulation.ts";
import type { SignOverrides } from "../webhooks/webhook-sender.ts";
import type { WebhookKey } from "../webhooks/keys.ts";
import type { SentWebhook } from "../webhooks/log.ts";
import { bodyText, plaidJson, type WebhookNotice } from "../webhooks/notices.ts";
import { readyMade } from "../webhooks/ready-made.ts";
import { badInput, type sendInput, type signInput } from "./inputs.ts";

const SIGNATURE = ["iat_offset_s", "kid", "tamper", "jwt"] as const;

type Content = z.output<typeof signInput>;

export interface SignedWebhook {
  /** what to POST, byte for byte */
  body: string;
  /** the value of Plaid-Verification; null: none */
  jwt: string | null;
  kid: string;
  /** Unix seconds */
  iat: number;
}

export function sendWebhook(sim: Simulation, input: z.output<typeof sendInput>): SentWebhook {
  const item = itemOf(sim, input);
  const url = input.url ?? item?.webhook;
  if (!url) throw badInput({ url: "is needed: the webhook is for no Item, or the Item has no webhook URL" });
  return sim.sender.send({
    itemId: item?.itemId ?? null,
    clientId: item?.clientId ?? null,
    url,
    type: input.webhook_type ?? null,
    code: input.webhook_code ?? null,
    body: contentText(sim, item, input),
    sign: overridesOf(sim, input),
    retry: input.retry,
    forged:
      input.body !== undefined || SIGNATURE.some((field) => input[field] !== undefined) || input.key !== "current",
  });
}

export function signContent(sim: Simulation, input: Content): SignedWebhook {
  return sim.sender.sign(contentText(sim, itemOf(sim, input), input), overridesOf(sim, input));
}

function itemOf(sim: Simulation, { item_id }: Content): Item | null {
  if (item_id === undefined) return null;
  const item = sim.world.items.get(item_id);
  if (!item) throw badInput({ item_id: "is unknown here" });
  return item;
}

function contentText(sim: Simulation, item: Item | null, input: Content): string {
  if (typeof input.body === "string") return input.body;
  if (input.body) return plaidJson(input.body);
  const { webhook_type: type, webhook_code: code } = input;
  if (type === undefined || code === undefined) {
    throw badInput({ body: "is needed, or webhook_type together with webhook_code" });
  }
  const notice: WebhookNotice = (item && readyMade(sim, item, type, code)) ?? { type, code, fields: {} };
  const withFields = { ...notice, fields: { ...notice.fields, ...input.fields } };
  if (item) return bodyText(withFields, item);
  return bodyText({ ...withFields, withoutItem: true }, { itemId: "", userId: null });
}

function overridesOf(sim: Simulation, input: Content): SignOverrides {
  const { iat_offset_s, kid, tamper, jwt } = input;
  return { iat_offset_s, kid, tamper, jwt, key: keyOf(sim, input.key) };
}

function keyOf(sim: Simulation, which: Content["key"]): WebhookKey {
  if (which === "current") return sim.keys.current;
  if (which === "foreign") return sim.keys.foreign(sim.time.now());
  const expired = sim.keys.all().findLast((key) => key.expiredAt !== null);
  if (!expired) throw badInput({ key: "no key has expired yet: rotate the keys first" });
  return expired;
}
