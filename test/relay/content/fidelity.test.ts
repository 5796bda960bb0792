import { isUtf8 } from "node:buffer";
import { createHash, createHmac } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { array, base64String, constantFrom, jsonValue, oneof, sample, string, uint8Array } from "fast-check";
import { Webhook } from "standardwebhooks";
import { expect, it } from "vitest";
import { append } from "../../../src/journal/append.ts";
import { webhook } from "../../support/webhook.ts";
import { startWorld } from "../../support/world/index.ts";
import { ORIGINAL } from "../support.ts";

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** JSON as nobody would write it: whitespace anywhere, digits beyond a float, escapes, members twice, text in every script. */
const odd = oneof(
  jsonValue().map((value) => JSON.stringify(value, null, "\t \n")),
  string({ unit: "grapheme" }).map((text) => `{ "name" :${JSON.stringify(text)}\r\n,"name":"twice"}  `),
  base64String().map((text) => `{"a":12345678901234567890.123456789012345678901234567890,"b":1E400,"t":"${text}"}`),
  constantFrom('{"\\u00e9":"\\ud83d\\ude00","n":-0.0,"z":1.10}', "[]", '"text"', "null", "{}", " { }\n", '{"a":"\\/"}'),
).map((text) => Buffer.from(text));

/** What is not JSON at all, or not even text. */
const garbage = oneof(
  uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  constantFrom("", "\ufeff{}", "{", "\0", "{'a':1}").map((text) => Buffer.from(text)),
);

it("the bytes received, journaled and sent are equal, and the official library verifies them", async () => {
  const bodies = sample(
    array(oneof({ weight: 3, arbitrary: odd }, garbage), { minLength: 60, maxLength: 60 }),
    4,
  ).flat();
  await using world = await startWorld({ relay: {} });
  const [original, wrapped] = [await world.relay.receiver(), await world.relay.receiver()];
  const first = await world.relay.destination(original, {}, ORIGINAL);
  const second = await world.relay.destination(wrapped, {}, { form: "webhook" });
  const relay = await world.relay.start();
  const webhooks = bodies.map((body) => webhook({ body }));
  await append(world.database, webhooks);
  await relay.idle();

  const came = new Map(original.received.map((each) => [each.id, each]));
  const inEnvelope = new Map(wrapped.received.map((each) => [each.id, each]));
  expect(came.size).toBe(bodies.length);
  for (const { id: uuid, body } of webhooks) {
    const id = `evt_${uuid.replaceAll("-", "")}`;
    const received = came.get(id);
    const envelope = inEnvelope.get(id);
    if (!received || !envelope) throw new Error(`${id} did not come`);
    expect(sha256(received.body)).toBe(sha256(body));
    verify(first.secret, received);
    verify(second.secret, envelope);
    const parsed = JSON.parse(envelope.body.toString()) as { data: { webhook: unknown; body_base64: string | null } };
    if (parsed.data.body_base64 === null) expect(envelope.body.includes(body)).toBe(true);
    else expect(Buffer.from(parsed.data.body_base64, "base64").equals(body)).toBe(true);
  }
  const { rows } = await world.database.query<{ differ: number }>(
    `select (count(*) filter (where d.body_sha256 is distinct from sha256(w.body)))::int as differ
     from relay.deliveries d join journal.webhooks w on w.id = d.event_id where d.destination_id = $1`,
    [first.id],
  );
  expect(rows).toEqual([{ differ: 0 }]);
});

/**
 * By the library where the body is text, which is all that it takes, and by hand where it is not. The library hands back the
 * parsed body once it is verified, so of what is not JSON it complains only then.
 */
function verify(secret: string, { body, headers }: { body: Buffer; headers: IncomingHttpHeaders }): void {
  if (!isUtf8(body)) {
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    const signed = Buffer.concat([
      Buffer.from(`${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.`),
      body,
    ]);
    expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
    return;
  }
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}
