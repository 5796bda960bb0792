/** The embedded server and its one owner: no other process gets it, and it lives as long as its owner does. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { silentLogger } from "../../src/logger.ts";
import { embeddedScene, kill, query, QUICK } from "./scene.ts";

const scene = embeddedScene();

describe("one data directory, one server", () => {
  test("a data directory that a live Tartan holds is refused with its process id and what to do", async () => {
    const child = await scene.startChild();
    const refused = scene.start();
    await expect(refused).rejects.toMatchObject({ code: "data_dir_in_use" });
    for (const part of [String(child.process.pid), "TARTAN_DATA_DIR", "TARTAN_DATABASE_URL"]) {
      await expect(refused).rejects.toThrow(part);
    }
    expect(await query(String(child.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
    await kill(child.process, "SIGTERM");
    await using embedded = await scene.start();
    expect(embedded.url).toBe(child.report["url"]);
  });

  test("of four Tartans that start at once on an empty directory, one wins and the others are refused", async () => {
    scene.startAfresh();
    const all = await Promise.all(Array.from({ length: 4 }, scene.startChild));
    expect(all.filter(({ report }) => "url" in report)).toHaveLength(1);
    expect(all.filter(({ report }) => report["code"] === "data_dir_in_use")).toHaveLength(3);
  });

  test("of four Tartans that find an orphaned server, one takes it over", async () => {
    const child = await scene.startChild();
    const before = await scene.postmaster();
    await kill(child.process, "SIGKILL");
    const all = await Promise.all(Array.from({ length: 4 }, scene.startChild));
    expect(all.filter(({ report }) => report["url"] === child.report["url"])).toHaveLength(1);
    expect(all.filter(({ report }) => report["code"] === "data_dir_in_use")).toHaveLength(3);
    expect(await scene.postmaster()).toEqual(before);
  });

  test("a Tartan that starts while another is stopping waits for it and starts the server again", async () => {
    const first = await scene.start();
    const stopping = first[Symbol.asyncDispose]();
    const child = await scene.startChild();
    await stopping;
    expect(child.report).toHaveProperty("url");
    expect(await query(String(child.report["url"]), "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

test("a server that starts while a command holds the data directory waits until the command is done", async () => {
  const settings = QUICK;
  const command = await startEmbedded({ dataDir: scene.dataDir, logger: silentLogger, settings, brief: true });
  const starting = scene.startChild();
  await delay(2_000);
  await command[Symbol.asyncDispose]();
  expect((await starting).report).toHaveProperty("url");
});

describe("while it is owned", () => {
  test("Ctrl-C in the terminal reaches Tartan and not the server, which serves until Tartan has drained", async () => {
    const child = await scene.startChild();
    const url = String(child.report["url"]);
    const draining = once(child.lines, "line");
    const exited = once(child.process, "exit");
    process.kill(-(child.process.pid ?? 0), "SIGINT");
    await draining;
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await exited).toEqual([0, null]);
    expect(await scene.postmaster()).toBeNull();
    const recoveries = await scene.recoveries();
    await using embedded = await scene.start();
    expect(await scene.recoveries()).toBe(recoveries);
    expect(embedded.url).toBe(url);
  });

  test("a server that dies is started again on its port", async () => {
    await using embedded = await scene.start();
    const server = await scene.postmaster();
    process.kill(server?.pid ?? 0, "SIGKILL");
    await expect
      .poll(async () => await query(embedded.url, "select 1 as one").catch(() => null), { timeout: 20_000 })
      .toEqual([{ one: 1 }]);
    await expect.poll(async () => (await owners(embedded.url)).length, { timeout: 20_000 }).toBe(1);
  });

  test("an owner whose session was ended opens another one", async () => {
    await using embedded = await scene.start();
    await query(
      embedded.url,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tartan owner%'",
    );
    await expect.poll(async () => (await owners(embedded.url)).length, { timeout: 20_000 }).toBe(1);
    await expect(scene.start()).rejects.toMatchObject({ code: "data_dir_in_use" });
  });

  const owners = async (url: string) =>
    await query(url, "select 1 from pg_stat_activity where application_name like 'tartan owner%'").catch(() => []);
});
