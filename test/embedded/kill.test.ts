/** The embedded server after a kill -9: of Tartan, of itself, of both, at any instant. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { attachEmbedded } from "../../src/embedded/embedded.ts";
import { embeddedScene, kill, query } from "./scene.ts";

const scene = embeddedScene();

describe("kill -9", () => {
  test("the next Tartan takes over the server of a killed one with all its data", async () => {
    const child = await scene.startChild();
    await query(String(child.report["url"]), "create table if not exists kept as select 42 as answer");
    const before = await scene.postmaster();
    await kill(child.process, "SIGKILL");
    expect(await scene.postmaster()).toEqual(before);
    await using embedded = await scene.start();
    expect(await scene.postmaster()).toEqual(before);
    expect(embedded.url).toBe(child.report["url"]);
    expect(await query(embedded.url, "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("the new owner stops a server that it took over", async () => {
    const child = await scene.startChild();
    await kill(child.process, "SIGKILL");
    const embedded = await scene.start();
    await embedded[Symbol.asyncDispose]();
    expect(await scene.postmaster()).toBeNull();
  });

  test("a server that was killed with its Tartan recovers everything that was committed", async () => {
    const child = await scene.startChild();
    await query(String(child.report["url"]), "create table if not exists kept as select 42 as answer");
    const server = await scene.postmaster();
    const recoveries = await scene.recoveries();
    await kill(child.process, "SIGKILL");
    process.kill(server?.pid ?? 0, "SIGKILL");
    await using embedded = await scene.start();
    expect(await query(embedded.url, "select answer from kept")).toEqual([{ answer: 42 }]);
    expect(await scene.recoveries()).toBe(recoveries + 1);
  });

  test("a postmaster.pid whose process id now belongs to another program does not block the start", async () => {
    const first = await scene.start();
    await first[Symbol.asyncDispose]();
    const data = await scene.cluster();
    const { uid, gid } = await stat(data);
    // Of the same user as the server, or Postgres would look through it by itself.
    const pid = await sleeperOf(uid, gid);
    await writeFile(join(data, "postmaster.pid"), `${pid}\n${data}\n1700000000\n5432\n\n127.0.0.1\n 0 0\nready   \n`);
    expect(await attachEmbedded(scene.dataDir)).toBeNull();
    await using second = await scene.start();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  async function sleeperOf(uid: number, gid: number): Promise<number | undefined> {
    const sleeper = spawn("sleep", ["60"], process.getuid?.() === 0 ? { uid, gid, cwd: "/" } : { cwd: "/" });
    scene.children.push(sleeper);
    await once(sleeper, "spawn");
    return sleeper.pid;
  }

  test(
    "a kill at any instant of the first start leaves a data directory that starts",
    { timeout: 60_000 },
    async () => {
      scene.startAfresh();
      for (const ms of [250, 450, 650, 850, 1_050, 1_300]) {
        const child = scene.spawnChild();
        await Promise.race([once(child, "exit"), new Promise((resolve) => setTimeout(resolve, ms))]);
        await kill(child, "SIGKILL");
      }
      await using embedded = await scene.start();
      expect(await query(embedded.url, "select 1 as one")).toEqual([{ one: 1 }]);
    },
  );
});
