/** What people, disks and frozen processes do to the files of a spool: nothing that was acknowledged is lost, and the spool says what is wrong. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Arrival, RestoreResult } from "../../src/model/intake.ts";
import { framesOf } from "../../src/spool/frames.ts";
import { factsOf } from "../../src/spool/record.ts";
import { createFile, type CreateFile } from "../../src/spool/segment.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot, type Opened } from "./support.ts";

const CHILD = fileURLToPath(new URL("spool-child.ts", import.meta.url));
const LOOK = { leftOverEveryMs: 100 };
/** Segments of 8 KiB. */
const SMALL = { maxBytes: 64 * 1024 };
/** A clock whose pauses are short. */
const HASTY = { clock: { ...systemClock, now: () => Date.now(), sleep: () => delay(2) } };

const away = () => Object.assign(new MemoryIntake(), { mode: "away" as MemoryIntake["mode"] });
const isStraight = ({ spool }: Opened) => spool.status().state === "straight";

async function send({ spool }: Opened, count: number): Promise<(string | undefined)[]> {
  const given = Array.from({ length: count }, () => arrived());
  await Promise.all(given.map((each) => spool.accept(each)));
  return given.map(({ id }) => id);
}

/** Files whose reads, or whose syncs from the second file on, fail or hang as a test says. */
function disk() {
  const state = { reads: true, laterSyncs: true, hangs: Promise.resolve(), files: 0 };
  const broken = (): never => {
    throw Object.assign(new Error("EIO: injected"), { code: "EIO" });
  };
  const create: CreateFile = async (path) => {
    const file = await createFile(path);
    const number = (state.files += 1);
    return {
      write: file.write.bind(file) as typeof file.write,
      read: ((...args: Parameters<typeof file.read>) =>
        state.reads ? file.read(...args) : broken()) as typeof file.read,
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
      datasync: async () => {
        await state.hangs;
        if (number > 1 && !state.laterSyncs) broken();
        await file.datasync();
      },
    };
  };
  return { state, create };
}

describe("the spool", () => {
  test("drains what stands around a file that cannot be read, and that file as soon as it can be", async () => {
    await using root = await spoolRoot();
    let acknowledged: (string | undefined)[];
    {
      await using dead = await open(root, away(), SMALL);
      acknowledged = [...(await send(dead, 20)), ...(await send(dead, 20)), ...(await send(dead, 20))];
    }
    const [first = "", ...others] = (await root.files()).toSorted();
    expect(others.length).toBeGreaterThan(1);
    await writeFile(join(dirname(first), "notes.txt"), "a file that nobody knows");
    await rename(first, `${first}.moved`);
    await mkdir(first);
    const inner = new MemoryIntake();
    await using opened = await open(root, inner, LOOK);
    await until("the others are drained", async () => inner.ids.length > 0 && (await root.files()).length === 1);
    await delay(300);
    expect(inner.ids.length).toBeLessThan(acknowledged.length);
    await rmdir(first);
    await rename(`${first}.moved`, first);
    await until("it is drained too", () => inner.ids.length === acknowledged.length && isStraight(opened));
    expect(inner.ids.toSorted()).toEqual(acknowledged.toSorted());
  });

  test("leaves a file that fails while it is drained where it is, says so, and the next start drains it", async () => {
    await using root = await spoolRoot();
    const inner = away();
    const { state, create } = disk();
    let acknowledged: (string | undefined)[];
    {
      await using opened = await open(root, inner, { create, ...HASTY });
      acknowledged = await send(opened, 10);
      state.reads = false;
      inner.mode = "there";
      // What comes meanwhile is acknowledged.
      acknowledged.push(...(await send(opened, 10)));
      await until("it is given up", () => opened.spool.status().damaged > 0);
      state.reads = true;
      await until("the others are drained", () => isStraight(opened));
      acknowledged.push(...(await send(opened, 10)));
      expect(inner.ids.length).toBeLessThan(30);
    }
    await using opened = await open(root, inner);
    await until("it is drained", () => inner.ids.length === 30 && isStraight(opened));
    expect(inner.ids.toSorted()).toEqual(acknowledged.toSorted());
    expect(await root.files(/./)).toEqual([]);
  });

  test("refuses webhooks while its disk does not answer, says so, and takes them again when it does", async () => {
    await using root = await spoolRoot();
    const { state, create } = disk();
    await using opened = await open(root, away(), { create, stuckMs: 50 });
    let answer = (): void => undefined;
    state.hangs = new Promise((resolve) => (answer = resolve));
    const first = opened.spool.accept(arrived());
    await until("it is noticed", () => opened.spool.problem()?.includes("does not answer") === true);
    expect(opened.spool.status()).toMatchObject({ state: "full", problem: expect.stringContaining("does not answer") });
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject({
      code: "overloaded",
      retryAfterSeconds: expect.any(Number),
    });
    answer();
    expect(await first).toMatchObject({ duplicate: false });
    expect(opened.spool.problem()).toBeNull();
    expect(await send(opened, 1)).toHaveLength(1);
  });

  test("keeps the file of a webhook that it can store nowhere, also when another folder is taken over in that moment", async () => {
    await using root = await spoolRoot();
    const inner = away();
    await using opened = await open(root, inner, LOOK);
    const [refused] = await send(opened, 1);
    inner.refuse = (arrival) => ("id" in arrival && arrival.id === refused ? new Error("no") : null);
    await writeFile(join(root.path, "refused"), "a file where the folder should be");
    inner.mode = "frozen";
    await until("it is being drained", () => opened.spool.status().state !== "straight");
    await delay(300);
    let left: (string | undefined)[];
    {
      await using other = await open(root, away());
      left = await send(other, 1);
    }
    await until("the folder is taken over", () => opened.spool.status().waiting === 2);
    inner.thaw();
    await until("it is drained", () => isStraight(opened));
    expect(inner.ids).toEqual(left);
    const kept = await Promise.all((await root.files(/^damaged$/)).map((file) => readFile(file)));
    const found = kept.flatMap((bytes) => [...framesOf(bytes)].map(({ payload }) => factsOf(payload).id));
    expect(found).toEqual([refused]);
  });

  test("leaves no file behind for each time that it cannot put a locked webhook back, and stores it in the end", async () => {
    await using root = await spoolRoot();
    class Locking extends MemoryIntake {
      locked: string | undefined;
      override async restore(arrivals: readonly Arrival[]): Promise<RestoreResult[]> {
        const free = arrivals.filter((each) => !("id" in each && each.id === this.locked));
        const results = await super.restore(free);
        return arrivals.map((each) => results[free.indexOf(each)] ?? { outcome: "locked" });
      }
    }
    const inner = Object.assign(new Locking(), { mode: "away" as MemoryIntake["mode"] });
    const { state, create } = disk();
    await using opened = await open(root, inner, { create, ...HASTY });
    const acknowledged = await send(opened, 10);
    inner.locked = acknowledged[3];
    state.laterSyncs = false;
    inner.mode = "there";
    await until("it failed many times", () => state.files > 10);
    expect((await root.files()).length).toBeLessThanOrEqual(2);
    expect(inner.ids).toHaveLength(9);
    state.laterSyncs = true;
    await until("it is put back", () => opened.spool.status().waiting === 1);
    inner.locked = undefined;
    await until("it is drained", () => isStraight(opened));
    expect(inner.ids.toSorted()).toEqual(acknowledged.toSorted());
  });

  test("with a lower bound than what waits refuses webhooks until that is drained, in order", async () => {
    await using root = await spoolRoot();
    const inner = away();
    let acknowledged: (string | undefined)[];
    {
      await using opened = await open(root, inner);
      acknowledged = await send(opened, 100);
    }
    await using opened = await open(root, inner, { maxBytes: 16 * 1024 });
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject({ code: "overloaded" });
    expect(opened.spool.status()).toMatchObject({
      state: "full",
      waiting: 100,
      problem: expect.stringContaining("full"),
    });
    inner.mode = "there";
    await until("it is drained", () => isStraight(opened));
    acknowledged.push(...(await send(opened, 1)));
    expect(inner.ids).toEqual(acknowledged);
  });

  test("of a process that is frozen is left alone by the others, and what it acknowledges when it goes on is stored once it is gone", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    await using opened = await open(root, inner, LOOK);
    const child = spawn(process.execPath, ["--import", "tsx", CHILD], {
      env: { ...process.env, SPOOL_ROOT: root.path, SPOOL_IDS_ONLY: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const acknowledged: string[] = [];
    const gone = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (acknowledged.length === 200) {
        child.kill("SIGSTOP");
        await delay(1000);
        expect([opened.spool.status().waiting, inner.ids.length]).toEqual([0, 0]);
        child.kill("SIGCONT");
      }
      if (acknowledged.length === 600) child.kill("SIGKILL");
    }
    await gone;
    await until("all are stored", () => inner.ids.length >= acknowledged.length && isStraight(opened));
    expect(new Set(inner.ids).size).toBe(inner.ids.length);
    expect(acknowledged.filter((id) => !inner.ids.includes(id))).toEqual([]);
  });
});
