/** What every engine of the port `Intake` promises, as tests that take an engine. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import type { ArrivedWebhook, Intake, StaleNotice } from "../../src/model/intake.ts";
import { proof, webhook } from "../support/webhook.ts";

export interface Stored {
  id: string;
  itemId: string | null;
  body: Buffer;
}

/** An engine on an empty store. */
export interface IntakeEngine extends AsyncDisposable {
  /**
   * It keeps arrivals for a store that it cannot ask just now. So it does not know what other processes accepted or which integrations there
   * are, and what the store refuses is found out later.
   */
  deferred?: true;
  /** an integration that exists */
  integrationId: string;
  /** a process's intake; several may be open at once */
  open(options?: { queueMax?: number }): (Intake & AsyncDisposable) | Promise<Intake & AsyncDisposable>;
  /** the webhooks in the store, in the order of their ids */
  stored(): Promise<Stored[]>;
  /** how many checks of a subject stale notices have caused */
  notices(): Promise<number>;
  /** everything that is in the store, as text, to look for what must not be there */
  dump(): Promise<string>;
  /** while `work` runs, nothing that is written gets done */
  frozen(work: () => Promise<void>): Promise<void>;
  /** while `work` runs, the store cannot be reached */
  away(work: () => Promise<void>): Promise<void>;
  /** arguments and environment of a program that accepts webhooks without end and writes the id of each that is accepted on a line */
  child: { script: string; env: Record<string, string> };
}

const arrived = (fields: Partial<ArrivedWebhook> = {}): ArrivedWebhook => ({
  arrival: "webhook",
  ...webhook(fields),
});

const codesOf = (settled: readonly PromiseSettledResult<unknown>[]): string[] =>
  settled.map((each) => (each.status === "fulfilled" ? "accepted" : (each.reason as { code: string }).code));

export function intakeConformance(name: string, openEngine: () => Promise<IntakeEngine>): void {
  describe(`the intake over ${name}`, () => {
    webhooks(openEngine);
    bounds(openEngine);
    others(openEngine);
  });
}

function webhooks(openEngine: () => Promise<IntakeEngine>): void {
  test("a webhook that was acknowledged before kill -9 is stored exactly once", async () => {
    await using engine = await openEngine();
    const child = spawn(process.execPath, ["--import", "tsx", engine.child.script], {
      env: { ...process.env, ...engine.child.env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const acknowledged: string[] = [];
    const gone = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 300) child.kill("SIGKILL");
    }
    await gone;
    const stored = (await engine.stored()).map(({ id }) => id);
    expect(acknowledged.length).toBeGreaterThanOrEqual(300);
    expect(new Set(stored).size).toBe(stored.length);
    expect(acknowledged.filter((id) => !stored.includes(id))).toEqual([]);
  });

  test("the bytes of a webhook are stored as they came, under the id that it was given", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const given = arrived({ body: Buffer.from([0, 255, 34, 10, 195]) });
    expect(await intake.accept(given)).toEqual({ id: given.id, duplicate: false });
    expect(await engine.stored()).toEqual([{ id: given.id, itemId: given.itemId, body: given.body }]);
  });

  test("the same JWT at once, later and in another process is one webhook, and each answer names it", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    await using other = await engine.open();
    const shared = proof();
    const send = (to: Intake) => to.accept(arrived({ proof: shared }));
    const elsewhere = engine.deferred ? [] : [other];
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => send(intake)),
      ...elsewhere.flatMap((each) => [send(each), send(each)]),
    ]);
    answers.push(await send(intake), ...(await Promise.all(elsewhere.map(send))));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    const [stored, ...more] = await engine.stored();
    expect(more).toEqual([]);
    expect(new Set(answers.map(({ id }) => id))).toEqual(new Set([stored?.id]));
  });

  test("webhooks without a JWT, and equal bodies under different JWTs, are different webhooks", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const body = Buffer.from("{}");
    const sent = [null, null, proof(), proof()].map((each) => intake.accept(arrived({ proof: each, body })));
    expect((await Promise.all(sent)).map(({ duplicate }) => duplicate)).toEqual([false, false, false, false]);
    expect(await engine.stored()).toHaveLength(4);
  });

  test("webhooks that came one after the other are stored in that order", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const given = Array.from({ length: 20 }, (_, index) => arrived({ itemId: `item-${index}` }));
    for (const each of given) await intake.accept(each);
    expect((await engine.stored()).map(({ itemId }) => itemId)).toEqual(given.map(({ itemId }) => itemId));
  });

  test("a webhook that the store cannot hold is rejected alone, in any batch", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const bad = arrived({ webhookType: "a\0b" });
    const good = Array.from({ length: 60 }, () => arrived());
    const all = [...good.slice(0, 30), bad, ...good.slice(30)];
    const settled = await Promise.allSettled(all.map((each) => intake.accept(each)));
    expect(all.filter((_, index) => settled[index]?.status === "rejected")).toEqual(engine.deferred ? [] : [bad]);
    expect(await engine.stored()).toHaveLength(good.length);
  });
}

function bounds(openEngine: () => Promise<IntakeEngine>): void {
  test("more webhooks than may wait are rejected as overloaded with when to come again, and the others are stored", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open({ queueMax: 5 });
    let sent: Promise<unknown>[] = [];
    await engine.frozen(async () => {
      sent = [intake.accept(arrived())];
      await new Promise((resolve) => setTimeout(resolve, 50));
      sent.push(...Array.from({ length: 5 }, () => intake.accept(arrived())));
      await expect(intake.accept(arrived())).rejects.toMatchObject({
        code: "overloaded",
        retryAfterSeconds: expect.any(Number),
      });
    });
    const codes = codesOf(await Promise.allSettled(sent));
    expect(codes.filter((code) => code === "accepted")).toHaveLength((await engine.stored()).length);
  });

  test("more bytes than may wait are rejected as overloaded, and there is room again afterwards", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open({ queueMax: 1000 });
    const large = () => intake.accept(arrived({ body: Buffer.alloc(1024 * 1024) }));
    let settled: Promise<PromiseSettledResult<unknown>[]> = Promise.resolve([]);
    await engine.frozen(async () => {
      const first = intake.accept(arrived());
      await new Promise((resolve) => setTimeout(resolve, 50));
      settled = Promise.allSettled([first, ...Array.from({ length: 100 }, large)]);
    });
    const codes = codesOf(await settled);
    expect(codes).toContain("overloaded");
    await expect(large()).resolves.toMatchObject({ duplicate: false });
  });

  test("closing answers everybody who waits, and rejects those who come afterwards", async () => {
    await using engine = await openEngine();
    const intake = await engine.open();
    const waiting = Array.from({ length: 250 }, () => intake.accept(arrived()));
    const closing = intake[Symbol.asyncDispose]();
    await expect(intake.accept(arrived())).rejects.toMatchObject({ code: "overloaded" });
    await closing;
    expect(await Promise.all(waiting)).toHaveLength(250);
    expect(await engine.stored()).toHaveLength(250);
  });

  test("while the store is away senders are asked to come again, and once it is back webhooks are stored", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    await intake.accept(arrived());
    const again = proof();
    await engine.away(async () => {
      const settled = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) => intake.accept(arrived(index === 0 ? { proof: again } : {}))),
      );
      for (const each of settled)
        expect(each).toMatchObject({
          reason: {
            code: expect.stringMatching(/^(database_unavailable|overloaded)$/),
            retryAfterSeconds: expect.any(Number),
          },
        });
      expect(intake.problem()).toEqual(expect.any(String));
    });
    expect(await intake.accept(arrived({ proof: again }))).toMatchObject({ duplicate: false });
    expect(intake.problem()).toBeNull();
    expect(await engine.stored()).toHaveLength(2);
  });
}

function others(openEngine: () => Promise<IntakeEngine>): void {
  test("a linked item is stored with its webhook, and its token is nowhere to be read", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const accessToken = "access-sandbox-readable-nowhere";
    const body = Buffer.from(JSON.stringify({ item_id: "item-1", access_token: accessToken }));
    const item = { arrival: "linked_item", integrationId: engine.integrationId, itemId: "item-1" } as const;
    const first = await intake.accept({ ...item, accessToken, body });
    expect(first).toMatchObject({ duplicate: false, created: true });
    const created = engine.deferred === true;
    expect(await intake.accept({ ...item, accessToken: "access-sandbox-2" })).toMatchObject({ created });
    expect((await engine.stored()).map(({ itemId }) => itemId)).toEqual(["item-1", "item-1"]);
    expect(await engine.dump()).not.toContain(accessToken);
  });

  test("an item of no integration, or without what it needs, is rejected and leaves nothing", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const item = { arrival: "linked_item", integrationId: "svi_none", itemId: "item-1", accessToken: "t" } as const;
    if (engine.deferred) await intake.accept(item);
    else await expect(intake.accept(item)).rejects.toMatchObject({ code: "not_found" });
    await expect(intake.accept({ ...item, integrationId: engine.integrationId, itemId: "" })).rejects.toMatchObject({
      code: "invalid_request",
      fields: { item_id: expect.any(String) },
    });
    expect(await engine.stored()).toEqual([]);
  });

  test("a stale notice names the webhook of the same JWT; without one it causes one check, however often it comes", async () => {
    await using engine = await openEngine();
    await using intake = await engine.open();
    const known = arrived();
    await intake.accept(known);
    const notice = (token: StaleNotice["token"], id: string | null = "item-1"): StaleNotice => ({
      arrival: "stale_notice",
      integrationId: engine.integrationId,
      token,
      subject: id === null ? null : { kind: "item", id },
      webhookType: "TRANSACTIONS",
      webhookCode: "SYNC_UPDATES_AVAILABLE",
    });
    expect(await intake.accept(notice(known.proof ?? proof()))).toEqual({ id: known.id, duplicate: true });
    expect(await engine.notices()).toBe(0);
    const late = notice(proof());
    expect([await intake.accept(late), await intake.accept(late)]).toEqual([null, null]);
    expect(await intake.accept(notice(proof(), null))).toBeNull();
    expect(await engine.notices()).toBe(1);
    expect(await engine.stored()).toHaveLength(1);
  });
}
