/** Unproven webhooks in the spool. */
import { expect, test } from "vitest";
import { unprovenIdentity } from "../../src/model/intake.ts";
import { FRAME_BYTES } from "../../src/spool/frames.ts";
import { factsFor } from "../../src/spool/entry.ts";
import { decode, encode, factsOf } from "../../src/spool/record.ts";
import { unprovenWebhook } from "../support/webhook.ts";
import { arrived, MemoryIntake, open, spoolRoot } from "./support.ts";

const vault = { seal: () => Buffer.alloc(0), open: () => "" };

test("an unproven webhook comes out of the spool as it went in, and its JWT is known without parsing it", () => {
  const unproven = unprovenWebhook({
    vouched: true,
    receivedAt: new Date(1_790_000_000_123),
    body: Buffer.from([0, 255]),
  });
  const payload = encode(unproven, factsFor(unproven, 0), vault).subarray(FRAME_BYTES);
  expect(decode(payload, vault)).toEqual(unproven);
  expect(factsOf(payload)).toMatchObject({
    id: unproven.id,
    token: unprovenIdentity(unproven).toString("latin1"),
    isNotice: false,
  });
});

test("without a quarantine the spool keeps no unproven webhook while Postgres is away, and keeps the others", async () => {
  await using root = await spoolRoot();
  const inner = new MemoryIntake();
  await using opened = await open(root, inner, { keepsUnproven: false });
  inner.mode = "away";
  expect(await opened.spool.accept(arrived())).toMatchObject({ duplicate: false });
  await expect(opened.spool.accept(unprovenWebhook())).rejects.toMatchObject({ code: "not_enabled" });
  expect(opened.spool.status()).toMatchObject({ waiting: 1 });
});
