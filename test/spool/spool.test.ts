/** The switches between the inner engine and the file: what is acknowledged is stored exactly once, in order of arrival. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import type { ArrivedWebhook } from "../../src/model/intake.ts";
import { until } from "../support/until.ts";
import { proof } from "../support/webhook.ts";
import { arrived, MemoryIntake, open, spoolRoot } from "./support.ts";

const many = (count: number): ArrivedWebhook[] => Array.from({ length: count }, () => arrived());
const ids = (given: readonly ArrivedWebhook[]) => given.map(({ id }) => id);
const fresh = ({ id }: ArrivedWebhook) => ({ id, duplicate: false });

describe("the spool", () => {
  test("while the inner engine answers, no arrival touches the file", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    const given = many(20);
    expect(await Promise.all(given.map((each) => opened.spool.accept(each)))).toEqual(given.map(fresh));
    expect(inner.ids).toEqual(ids(given));
    expect(await root.files()).toEqual([]);
    expect(opened.spool.status()).toMatchObject({ state: "straight", waiting: 0, bytes: 0, since: null, oldest: null });
  });

  test("arrivals of an outage are acknowledged under their own ids, and stored once and in order when it ends", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    const given = many(60);
    const send = (from: number, to: number) =>
      Promise.all(given.slice(from, to).map((each) => opened.spool.accept(each)));
    expect(await send(0, 20)).toEqual(given.slice(0, 20).map(fresh));
    inner.mode = "away";
    expect(await send(20, 40)).toEqual(given.slice(20, 40).map(fresh));
    expect(opened.spool.status()).toMatchObject({
      state: "spooling",
      waiting: 20,
      since: expect.any(Date),
      oldest: given[20]?.receivedAt,
      problem: expect.any(String),
    });
    expect(opened.spool.problem()).toBeNull();
    inner.mode = "there";
    expect(await send(40, 60)).toEqual(given.slice(40, 60).map(fresh));
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(ids(given));
    expect(opened.spool.status()).toMatchObject({ waiting: 0, bytes: 0, oldest: null });
    expect(await root.files()).toEqual([]);
  });

  test("what the inner engine does not answer in time goes to the file, and what it stored after all is stored once", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    const given = many(50);
    inner.mode = "frozen";
    const first = await Promise.all(given.slice(0, 30).map((each) => opened.spool.accept(each)));
    expect(first).toEqual(given.slice(0, 30).map(fresh));
    const second = given.slice(30).map((each) => opened.spool.accept(each));
    expect(await Promise.all(second)).toEqual(given.slice(30).map(fresh));
    expect(inner.ids).toEqual([]);
    inner.thaw();
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(ids(given));
  });

  test("under a load that does not stop, the spool hands over to the inner engine, and the order stays", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    const acknowledged: string[] = [];
    const answers: Promise<void>[] = [];
    const stop = new AbortController();
    const load = (async () => {
      while (!stop.signal.aborted) {
        for (const each of many(5)) {
          acknowledged.push(each.id);
          answers.push(opened.spool.accept(each).then((accepted) => expect(accepted).toEqual(fresh(each))));
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    for (let round = 0; round < 3; round += 1) {
      inner.mode = "away";
      await until("arrivals wait", () => opened.spool.status().waiting > 500);
      inner.mode = "there";
      await until("the spool is drained", () => opened.spool.status().state === "straight");
    }
    stop.abort();
    await load;
    await Promise.all(answers);
    expect(inner.ids).toEqual(acknowledged);
  });

  test("the same JWT during an outage is one webhook: at once, later, and after a restart of the process", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const shared = proof();
    const first = arrived({ proof: shared });
    const again = () => arrived({ proof: shared });
    {
      await using opened = await open(root, inner);
      const answers = [first, again(), again()].map((each) => opened.spool.accept(each));
      expect(await Promise.all(answers)).toEqual([
        fresh(first),
        ...[1, 2].map(() => ({ id: first.id, duplicate: true })),
      ]);
      expect(await opened.spool.accept(again())).toEqual({ id: first.id, duplicate: true });
    }
    await using opened = await open(root, inner);
    expect(await opened.spool.accept(again())).toEqual({ id: first.id, duplicate: true });
    const notice = {
      arrival: "stale_notice",
      integrationId: "svi_test",
      token: shared,
      subject: null,
      webhookType: null,
      webhookCode: null,
    } as const;
    expect(await opened.spool.accept(notice)).toEqual({ id: first.id, duplicate: true });
    expect(opened.spool.status().waiting).toBe(1);
    inner.mode = "there";
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual([first.id]);
  });

  test("an error of the arrival itself is its sender's, and nothing goes to the file", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.accept = () => Promise.reject(new TartanError("invalid_request", "no"));
    await using opened = await open(root, inner);
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject({ code: "invalid_request" });
    expect(opened.spool.status().state).toBe("straight");
  });

  test("a stop during an outage leaves the arrivals on the disk, and the next start stores them first", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const given = many(30);
    {
      await using opened = await open(root, inner);
      await Promise.all(given.slice(0, 20).map((each) => opened.spool.accept(each)));
    }
    expect(await root.files()).toHaveLength(1);
    await using opened = await open(root, inner);
    expect(opened.spool.status()).toMatchObject({ state: "spooling", waiting: 20, oldest: given[0]?.receivedAt });
    inner.mode = "there";
    await Promise.all(given.slice(20).map((each) => opened.spool.accept(each)));
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(ids(given));
    expect(await root.files()).toEqual([]);
  });

  test("two processes on one folder keep their own files, and a running one drains what a gone one has left", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const given = many(20);
    const one = await open(root, inner);
    await using other = await open(root, inner);
    await Promise.all(given.slice(0, 10).map((each) => one.spool.accept(each)));
    await Promise.all(given.slice(10).map((each) => other.spool.accept(each)));
    expect(other.spool.status().waiting).toBe(10);
    await one[Symbol.asyncDispose]();
    await using third = await open(root, inner);
    expect(third.spool.status().waiting).toBe(10);
    inner.mode = "there";
    await until("both are drained", () => [other, third].every(({ spool }) => spool.status().state === "straight"));
    expect(inner.ids.toSorted()).toEqual(ids(given).toSorted());
  });

  test("a spool without a folder passes everything on and says why", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await mkdir(dirname(root.path), { recursive: true });
    await writeFile(root.path, "a file where the folder should be");
    await using opened = await open(root, inner, { root: join(root.path, "spool") });
    expect(opened.spool.status()).toMatchObject({ state: "off", problem: expect.stringContaining("cannot be used") });
    const given = arrived();
    expect(await opened.spool.accept(given)).toEqual(fresh(given));
    inner.mode = "away";
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject({
      code: "database_unavailable",
      retryAfterSeconds: expect.any(Number),
    });
    expect(opened.spool.problem()).toBe("away");
  });

  test("a spool that is switched off takes nothing, and drains what an earlier start has left", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const given = arrived();
    {
      await using opened = await open(root, inner);
      await opened.spool.accept(given);
    }
    await using opened = await open(root, inner, { maxBytes: 0 });
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject({ code: "database_unavailable" });
    inner.mode = "there";
    await until("it is drained", () => inner.ids.length === 1);
    expect(inner.ids).toEqual([given.id]);
  });
});
