/** A disk that is full or fails: what was not written is not acknowledged, and what was acknowledged is stored. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createFile, type SegmentFile } from "../../src/spool/segment.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot, type Opened } from "./support.ts";

type Fault = "none" | "full" | "short" | "sync" | "sync and cut";

/** Files whose disk fails as a test says, and how often they were synced after a failed sync. */
function faultyDisk() {
  const disk = { fault: "none" as Fault, files: 0, writesAfterFailedSync: 0 };
  const error = (code: string) => Object.assign(new Error(`${code}: injected`), { code });
  const create = async (path: string): Promise<SegmentFile> => {
    const file = await createFile(path);
    disk.files += 1;
    let isBad = false;
    return {
      write: (async (bytes: Buffer, at: number, length: number, position: number) => {
        if (isBad) disk.writesAfterFailedSync += 1;
        if (disk.fault !== "full" && disk.fault !== "short") return await file.write(bytes, at, length, position);
        const part = Math.ceil(length / 2);
        const done = await file.write(bytes, at, part, position);
        if (disk.fault === "full" && length < 100) throw error("ENOSPC");
        return done;
      }) as SegmentFile["write"],
      datasync: async () => {
        if (disk.fault !== "sync" && disk.fault !== "sync and cut") return await file.datasync();
        isBad = true;
        throw error("EIO");
      },
      truncate: async (length) => {
        if (disk.fault === "sync and cut") throw error("EIO");
        await file.truncate(length);
      },
      read: file.read.bind(file) as SegmentFile["read"],
      close: () => file.close(),
    };
  };
  return { disk, create };
}

const retry = { code: "overloaded", retryAfterSeconds: expect.any(Number) };

/** Sends one at a time. @returns the ids of those that were acknowledged */
async function send({ spool }: Opened, count: number): Promise<string[]> {
  const acknowledged: string[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    const given = arrived();
    await spool.accept(given).then(
      () => acknowledged.push(given.id),
      () => undefined,
    );
  }
  return acknowledged;
}

describe("a failing disk", () => {
  test("writes that are cut short are continued", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    const { disk, create } = faultyDisk();
    await using opened = await open(root, inner, { create });
    inner.mode = "away";
    disk.fault = "short";
    const acknowledged = await send(opened, 10);
    expect(acknowledged).toHaveLength(10);
    inner.mode = "there";
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(acknowledged);
  });

  test.each<Fault>(["full", "sync", "sync and cut"])(
    "after a fault (%s) nothing of the write is acknowledged, what was before is stored, and later webhooks are taken",
    async (fault) => {
      await using root = await spoolRoot();
      const inner = new MemoryIntake();
      inner.mode = "away";
      const { disk, create } = faultyDisk();
      await using opened = await open(root, inner, { create });
      const acknowledged = await send(opened, 10);
      disk.fault = fault;
      await expect(opened.spool.accept(arrived())).rejects.toMatchObject(retry);
      // The disk is left alone for a second.
      expect(opened.spool.status()).toMatchObject({
        state: "full",
        problem: expect.stringContaining("cannot be written"),
      });
      expect(opened.spool.problem()).toEqual(expect.any(String));
      await expect(opened.spool.accept(arrived())).rejects.toMatchObject(retry);
      disk.fault = "none";
      await until("the disk is tried again", () => opened.spool.problem() === null);
      acknowledged.push(...(await send(opened, 10)));
      expect(acknowledged).toHaveLength(20);
      // After a failed sync the file takes nothing any more; after a failed write it was cut back.
      expect([disk.files, disk.writesAfterFailedSync]).toEqual([fault === "full" ? 1 : 2, 0]);
      inner.mode = "there";
      await until("it is drained", () => opened.spool.status().state === "straight");
      expect(inner.ids).toEqual(acknowledged);
    },
  );

  test("a folder that is deleted under the running process is made again, and nothing that was acknowledged is missing", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    await using opened = await open(root, inner);
    const acknowledged = await send(opened, 10);
    rmSync(root.path, { recursive: true });
    acknowledged.push(...(await send(opened, 10)));
    expect(acknowledged).toHaveLength(20);
    expect(await root.files()).toHaveLength(1);
    {
      // It is locked again, so no other process takes it.
      await using other = await open(root, inner);
      expect(other.spool.status().waiting).toBe(0);
    }
    inner.mode = "there";
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(acknowledged);
    expect(await root.files()).toEqual([]);
  });

  test("webhooks that share a write that fails are all refused", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const { disk, create } = faultyDisk();
    await using opened = await open(root, inner, { create });
    disk.fault = "sync";
    const settled = await Promise.allSettled(Array.from({ length: 50 }, () => opened.spool.accept(arrived())));
    for (const each of settled) expect(each).toMatchObject({ reason: expect.objectContaining(retry) });
    inner.mode = "there";
    disk.fault = "none";
    await until("arrivals go straight", () => opened.spool.status().state === "straight");
    await opened.spool.accept(arrived());
    expect(inner.stored).toHaveLength(1);
  });

  test("a spool that is full refuses with when to come again, and takes webhooks once some are drained", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const maxBytes = 256 * 1024;
    await using opened = await open(root, inner, { maxBytes });
    const acknowledged = await send(opened, 500);
    expect(acknowledged.length).toBeGreaterThan(50);
    expect(acknowledged.length).toBeLessThan(500);
    expect(opened.spool.status()).toMatchObject({ state: "full", waiting: acknowledged.length });
    expect(opened.spool.status().bytes).toBeLessThanOrEqual(maxBytes);
    await expect(opened.spool.accept(arrived())).rejects.toMatchObject(retry);
    inner.mode = "there";
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(acknowledged);
    expect(await send(opened, 1)).toHaveLength(1);
  });

  test("a full file system loses nothing that was acknowledged", async (context) => {
    const mounted = mkdtempSync(join(tmpdir(), "tartan-full-"));
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", mounted], { stdio: "ignore" });
    } catch {
      rmSync(mounted, { recursive: true });
      return context.skip("this user may not mount a file system");
    }
    try {
      await using root = await spoolRoot();
      const inner = new MemoryIntake();
      inner.mode = "away";
      const acknowledged: string[] = [];
      const here = join(mounted, "spool");
      {
        await using opened = await open(root, inner, { root: here });
        acknowledged.push(...(await send(opened, 600)));
        expect(acknowledged.length).toBeGreaterThan(50);
        expect(acknowledged.length).toBeLessThan(600);
        expect(opened.spool.status().problem).toContain("ENOSPC");
      }
      inner.mode = "there";
      await using opened = await open(root, inner, { root: here });
      await until("it is drained", () => opened.spool.status().state === "straight");
      expect(inner.ids).toEqual(acknowledged);
    } finally {
      execFileSync("umount", ["-l", mounted]);
      rmSync(mounted, { recursive: true, force: true });
    }
  });
});
