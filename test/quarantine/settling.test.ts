/** The quarantine's transactions: exactly once, in order, erased, expired. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Database } from "../../src/database/types.ts";
import { forgetItem, forgetSubject } from "../../src/journal/forget.ts";
import { forgetQuarantine } from "../../src/journal/forget-unproven.ts";
import { listUnproven, quarantineState } from "../../src/journal/quarantine.ts";
import { listRefusals } from "../../src/journal/refusals.ts";
import { settleSome, takeUpKeys, type Judgement, type KeptWebhook } from "../../src/journal/settle.ts";
import { keepUnproven } from "../../src/journal/unproven.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { silentLogger } from "../../src/logger.ts";
import { newUuid, toWebhookId } from "../../src/model/ids.ts";
import type { UnprovenWebhook } from "../../src/model/intake.ts";
import type { NewWebhook } from "../../src/model/webhook.ts";
import { expireUnproven } from "../../src/quarantine/expire.ts";
import { testDatabase } from "../support/database.ts";
import { webhookBody } from "../support/plaid-signer.ts";
import { INTEGRATION, unprovenWebhook, webhook } from "../support/webhook.ts";
import { startWorld } from "../support/world/index.ts";

const KEY = { integrationId: INTEGRATION, keyId: "kid-1" };

/** The webhook that a genuine signature would make of it. */
const proving =
  (kept: readonly UnprovenWebhook[]) =>
  async ({ id, body, jwt, receivedAt }: KeptWebhook): Promise<Judgement> => {
    const { tokenSha256, keyId, claimedAt } = kept.find((each) => each.id === id) as UnprovenWebhook;
    return {
      proven: webhook({ id, body, receivedAt, proof: { jwt, tokenSha256, keyId, signedAt: claimedAt } }),
    };
  };

async function keep(database: Database, webhooks: readonly UnprovenWebhook[]): Promise<void> {
  await database.transaction((tx) => keepUnproven(tx, webhooks, null));
}

const some = (count: number, fields: Partial<UnprovenWebhook> = {}) =>
  Array.from({ length: count }, () => unprovenWebhook(fields));

async function journaled(database: Database): Promise<string[]> {
  return (await database.query<{ id: string }>("select id from journal.webhooks order by id")).rows.map(({ id }) => id);
}

/** The order in which the outbox announces webhooks. */
async function announced(database: Database): Promise<string[]> {
  const { rows } = await database.query<{ webhooks: string[] }>("select webhooks from events.sync_outbox order by id");
  return rows.flatMap(({ webhooks }) => webhooks);
}

describe("settling", () => {
  test("two provers at the same time journal every webhook exactly once, in order of receipt", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    const kept = some(1_000);
    await keep(database, kept.toReversed());
    const work = async () => {
      while ((await settleSome(database, KEY, proving(kept))) !== null);
    };
    await Promise.all([work(), work(), work()]);
    expect(await journaled(database)).toEqual(kept.map(({ id }) => id));
    expect(await announced(database)).toEqual(kept.map(({ id }) => id));
    expect(await quarantineState(database)).toEqual({ waiting: 0, bytes: 0, oldest_seconds: 0, integrations: [] });
  });

  test("two provers at the same time refuse every forged webhook exactly once", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    await keep(database, some(600));
    const work = async () => {
      while (
        (await settleSome(database, KEY, async () => ({ refused: "signature_invalid", detail: "It is." }))) !== null
      );
    };
    await Promise.all([work(), work(), work()]);
    const refusals = (await listRefusals(database, {})).data;
    expect(refusals.reduce((sum, { count }) => sum + count, 0)).toBe(600);
    expect(await quarantineState(database)).toMatchObject({ waiting: 0, bytes: 0 });
  });

  test("a prover that fails before its commit has settled nothing, and another one settles all of it once", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    const kept = some(10);
    await keep(database, kept);
    const failing = settleSome(database, KEY, async (each) => {
      if (each.id === kept[9]?.id) throw new Error("the process ends here");
      return await proving(kept)(each);
    });
    await expect(failing).rejects.toThrow("the process ends here");
    expect([await journaled(database), await announced(database)]).toEqual([[], []]);
    expect(await settleSome(database, KEY, proving(kept))).toMatchObject({ proven: 10, duplicates: 0 });
    expect(await settleSome(database, KEY, proving(kept))).toBeNull();
    expect(await journaled(database)).toHaveLength(10);
  });

  test("a prover that is killed between proving and commit has settled nothing, and another one settles all of it once", async () => {
    await using opened = await testDatabase();
    const { database, url } = opened;
    const kept = some(10);
    await keep(database, kept);
    const script = join(import.meta.dirname, "prover-child.ts");
    const child = spawn(process.execPath, ["--import", "tsx", script, url, kept[9]?.id ?? ""], { stdio: "inherit" });
    expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
    expect((await listRefusals(database, {})).data).toEqual([]);
    expect(await settleSome(database, KEY, proving(kept))).toMatchObject({ proven: 10, duplicates: 0 });
    expect(await journaled(database)).toEqual(kept.map(({ id }) => id));
  });

  test("a webhook that Postgres cannot store becomes a refusal and does not stop the others", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    const kept = some(3);
    await keep(database, kept);
    const judge = async (each: KeptWebhook): Promise<Judgement> => {
      const judgement = await proving(kept)(each);
      if (each.id !== kept[1]?.id || !("proven" in judgement)) return judgement;
      return { proven: { ...judgement.proven, userId: "a\0b" } };
    };
    while ((await settleSome(database, KEY, judge)) !== null);
    expect(await journaled(database)).toEqual([kept[0]?.id, kept[2]?.id]);
    expect((await listRefusals(database, {})).data).toMatchObject([{ reason: "unstorable", count: 1 }]);
  });

  test("keys of vouched senders are taken up first, then those with the most webhooks, and each by one prover", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    await keep(database, [
      ...some(1, { keyId: "forged-1" }),
      ...some(5, { keyId: "many" }),
      ...some(1, { keyId: "vouched", vouched: true }),
    ]);
    const since = new Date(Date.now() + 60_000);
    const names = async (limit: number, before = since) =>
      (await takeUpKeys(database, { since: before, without: [], limit })).map(({ keyId }) => keyId);
    expect(await names(1)).toEqual(["vouched"]);
    const [first, second] = await Promise.all([names(2, new Date(0)), names(2, new Date(0))]);
    expect([...first, ...second].toSorted()).toEqual(["forged-1", "many"]);
    expect(await takeUpKeys(database, { since, without: [INTEGRATION], limit: 5 })).toEqual([]);
  });
});

/** The same JWT, proven, under an id of its own. */
const again = ({ body, jwt, tokenSha256, keyId, claimedAt, integrationId }: UnprovenWebhook): NewWebhook =>
  webhook({ integrationId, body, proof: { jwt, tokenSha256, keyId, signedAt: claimedAt } });

interface Journaled {
  id: string;
  received_at: Date;
}

describe("the same JWT again, once its key is there", () => {
  const opened = async () => {
    const { database, ...rest } = await testDatabase();
    const vault = openVault([randomBytes(32).toString("base64")]);
    const quarantine = { webhooks: 1000, bytes: 1_000_000 };
    const intake = openIntake({ database, vault, queueMax: 1000, quarantine, logger: silentLogger });
    const accept = (given: NewWebhook) => intake.accept({ arrival: "webhook", ...given });
    const journal = async () =>
      (await database.query<Journaled>("select id, received_at from journal.webhooks order by id")).rows;
    return {
      database,
      intake,
      accept,
      journal,
      [Symbol.asyncDispose]: async () => {
        await intake[Symbol.asyncDispose]();
        await rest[Symbol.asyncDispose]();
      },
    };
  };

  test("is a duplicate of the one that waits unproven, which it proves: the journal holds that one, with its id and its time", async () => {
    await using o = await opened();
    const [first, other] = some(2, { receivedAt: new Date(Date.now() - 60_000) }) as [UnprovenWebhook, UnprovenWebhook];
    await o.intake.accept(first);
    await o.intake.accept(other);
    const [second, third] = [again(first), again(first)];
    const answer = { id: first.id, duplicate: true };
    expect(await Promise.all([o.accept(second), o.accept(third)])).toEqual([answer, answer]);
    expect(await o.accept(again(first))).toEqual(answer);
    expect(await o.journal()).toEqual([{ id: first.id, received_at: first.receivedAt }]);
    expect(await announced(o.database)).toEqual([first.id]);
    expect((await listUnproven(o.database, {})).data.map(({ id }) => id)).toEqual([toWebhookId(other.id)]);
    expect(await settleSome(o.database, KEY, proving([first, other]))).toMatchObject({ proven: 1 });
    expect(await o.journal()).toHaveLength(2);
  });

  test("is one webhook, however many provers and senders there are at once", async () => {
    await using o = await opened();
    const kept = some(50);
    const ids = await Promise.all(kept.map(async (each) => (await o.intake.accept(each)).id));
    const prove = async () => {
      while ((await settleSome(o.database, KEY, proving(kept))) !== null);
    };
    const sent = kept.flatMap((each) => [o.accept(again(each)), o.intake.accept({ ...each, id: newUuid() })]);
    const [answers] = await Promise.all([Promise.all(sent), prove(), prove()]);
    expect(answers).toMatchObject(
      ids.flatMap((id) => [
        { id, duplicate: true },
        { id, duplicate: true },
      ]),
    );
    expect((await o.journal()).map(({ id }) => id)).toEqual(ids);
    expect(await quarantineState(o.database)).toMatchObject({ waiting: 0, bytes: 0 });
  });

  test("is passed over where another engine acknowledged it, and proves the first as well", async () => {
    await using world = await startWorld({ integration: {} });
    const { database, vault } = world;
    const integrationId =
      (await database.query<{ id: string }>("select id from tartan.integrations")).rows[0]?.id ?? "";
    await using intake = openIntake({ database, vault, queueMax: 10, quarantine: null, logger: silentLogger });
    const [first] = some(1, { integrationId }) as [UnprovenWebhook];
    const restored = await intake.restore([first, { arrival: "webhook", ...again(first) }]);
    expect(restored).toEqual([
      { outcome: "stored", id: first.id },
      { outcome: "passed_over", id: first.id },
    ]);
    expect(await journaled(database)).toEqual([first.id]);
  });

  test("is a webhook of its own where the first was refused, erased or expired", async () => {
    await using o = await opened();
    const [refused, erased, expired] = [
      ...some(2),
      ...some(1, { receivedAt: new Date(Date.now() - 4 * 86_400_000), keyId: "kid-2" }),
    ] as [UnprovenWebhook, UnprovenWebhook, UnprovenWebhook];
    await keep(o.database, [refused]);
    await settleSome(o.database, KEY, async () => ({ refused: "signature_invalid", detail: "It is." }));
    await keep(o.database, [expired]);
    await expireUnproven({ database: o.database, logger: silentLogger, days: 3 });
    await keep(o.database, [erased]);
    await o.database.transaction((tx) => forgetItem(tx, INTEGRATION, "item-1"));
    for (const each of [refused, erased, expired]) {
      const own = again(each);
      expect(await o.accept(own)).toEqual({ id: own.id, duplicate: false });
    }
  });
});

describe("forgetting", () => {
  test("erasing an item or another subject deletes the unproven webhooks that name it, and no others", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    const ofUser = { webhook_type: "USER", webhook_code: "USER_UPDATED", user_id: "usr_1", item_id: undefined };
    await keep(database, [
      unprovenWebhook({ body: webhookBody({ item_id: "item-1" }) }),
      unprovenWebhook({ body: webhookBody({ item_id: "item-2" }) }),
    ]);
    await database.transaction((tx) => forgetItem(tx, INTEGRATION, "item-1"));
    expect((await listUnproven(database, {})).data.map(({ claims }) => claims.item_id)).toEqual(["item-2"]);
    await database.query("update journal.unproven set claimed_subject_kind = 'user', claimed_subject_id = 'usr_1'");
    await database.transaction((tx) => forgetSubject(tx, INTEGRATION, { kind: "user", id: "usr_2" }));
    expect(await quarantineState(database)).toMatchObject({ waiting: 1 });
    await database.transaction((tx) => forgetSubject(tx, INTEGRATION, { kind: "user", id: ofUser.user_id }));
    expect(await quarantineState(database)).toMatchObject({ waiting: 0, bytes: 0 });
  });

  test("deleting an integration deletes its quarantine and leaves the others alone", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    await keep(database, [...some(3), ...some(2, { integrationId: "svi_other" })]);
    expect(await forgetQuarantine(database, INTEGRATION)).toBe(3);
    expect(await quarantineState(database)).toMatchObject({
      waiting: 2,
      integrations: [{ integration_id: "svi_other" }],
    });
  });

  test("webhooks that waited too long expire with a refusal and an event, and younger ones stay", async () => {
    await using opened = await testDatabase();
    const { database } = opened;
    const old = new Date(Date.now() - 4 * 86_400_000);
    await keep(database, [...some(1_500, { receivedAt: old }), ...some(2)]);
    await expireUnproven({ database, logger: silentLogger, days: 3 });
    expect(await quarantineState(database)).toMatchObject({ waiting: 2 });
    const refusals = (await listRefusals(database, {})).data;
    expect(refusals.every(({ reason }) => reason === "quarantine_expired")).toBe(true);
    expect(refusals.reduce((sum, { count }) => sum + count, 0)).toBe(1_500);
    const { rows } = await database.query<{ type: string; webhooks: number }>(
      "select type, (convert_from(payload, 'utf8')::json -> 'data' ->> 'webhooks')::int as webhooks from events.events",
    );
    expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(["integration.webhooks_expired"]));
    expect(rows.reduce((sum, { webhooks }) => sum + webhooks, 0)).toBe(1_500);
    expect(await journaled(database)).toEqual([]);
  });
});

describe("restoring", () => {
  test("unproven webhooks that another engine acknowledged are kept once, also beyond the bounds, and proven ones are passed over", async () => {
    await using world = await startWorld({ integration: {} });
    const { database, vault } = world;
    const integrationId =
      (await database.query<{ id: string }>("select id from tartan.integrations")).rows[0]?.id ?? "";
    await using intake = openIntake({ database, vault, queueMax: 10, quarantine: null, logger: silentLogger });
    const kept = some(5, { integrationId });
    const outcomes = async (arrivals: readonly UnprovenWebhook[]) =>
      (await intake.restore(arrivals)).map(({ outcome }) => outcome);
    expect(await outcomes(kept)).toEqual(Array(5).fill("stored"));
    expect(await outcomes(kept)).toEqual(Array(5).fill("passed_over"));
    await settleSome(database, { integrationId, keyId: "kid-1" }, async (each) => {
      const judgement = await proving(kept)(each);
      return "proven" in judgement ? { proven: { ...judgement.proven, integrationId } } : judgement;
    });
    expect(await outcomes(kept)).toEqual(Array(5).fill("passed_over"));
    expect(await outcomes(some(1, { integrationId: "svi_gone" }))).toEqual(["refused"]);
    expect(await quarantineState(database)).toMatchObject({ waiting: 0 });
  });
});
