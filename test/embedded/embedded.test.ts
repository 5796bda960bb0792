/** The embedded server: starts anywhere and stops cleanly. */
import { once } from "node:events";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { attachEmbedded } from "../../src/embedded/embedded.ts";
import { embeddedScene, query } from "./scene.ts";

const scene = embeddedScene();

describe("starting and stopping", () => {
  test("data, password and port are the same at the next start, which needs no recovery", async () => {
    const first = await scene.start();
    await query(first.url, "create table if not exists kept as select 42 as answer");
    await first[Symbol.asyncDispose]();
    expect(await scene.postmaster()).toBeNull();
    await using second = await scene.start();
    expect(second.url).toBe(first.url);
    expect(await query(second.url, "select answer from kept")).toEqual([{ answer: 42 }]);
    expect(await scene.recoveries()).toBe(0);
  });

  test("the server takes another port when its previous port is taken", async () => {
    const first = await scene.start();
    await first[Symbol.asyncDispose]();
    const squatter = createServer().listen(first.port, "127.0.0.1");
    await once(squatter, "listening");
    await using second = await scene.start();
    expect(second.port).not.toBe(first.port);
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    squatter.close();
  });

  test("the server takes another port when its user may not listen on the previous one", async () => {
    await (await scene.start())[Symbol.asyncDispose]();
    await writeFile(join(scene.dataDir, "postgres", "port"), "1");
    await using second = await scene.start();
    expect(second.port).toBeGreaterThan(1);
  });

  test("the server rejects logins without the password, listens on loopback only, and hides its files", async () => {
    await using embedded = await scene.start();
    const wrong = new URL(embedded.url);
    wrong.password = "wrong";
    await expect(query(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
    const [row] = await query(
      embedded.url,
      "select current_setting('listen_addresses') as at, current_setting('unix_socket_directories') as sockets",
    );
    expect(row).toEqual({ at: "127.0.0.1", sockets: "" });
    expect((await stat(join(scene.dataDir, "postgres", "password"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(scene.dataDir, "postgres", "server.log"))).mode & 0o077).toBe(0);
  });

  test("commits are durable and texts are UTF-8 in one order everywhere", async () => {
    await using embedded = await scene.start({});
    const [row] = await query(
      embedded.url,
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
              current_setting('server_encoding') as encoding, 'Z' < 'a' and 'a' < 'ä' as by_code_point`,
    );
    expect(row).toEqual({ fsync: "on", commit: "on", encoding: "UTF8", by_code_point: true });
  });

  test("a command finds the running server, and null when none runs", async () => {
    scene.startAfresh();
    expect(await attachEmbedded(scene.dataDir)).toBeNull();
    const embedded = await scene.start();
    expect(await attachEmbedded(scene.dataDir)).toEqual({ url: embedded.url });
    await embedded[Symbol.asyncDispose]();
    expect(await attachEmbedded(scene.dataDir)).toBeNull();
  });

  test("disposing twice, or while clients are connected, stops the server", async () => {
    const embedded = await scene.start();
    const client = new Client(embedded.url);
    client.on("error", () => undefined);
    await client.connect();
    await Promise.all([embedded[Symbol.asyncDispose](), embedded[Symbol.asyncDispose]()]);
    expect(await scene.postmaster()).toBeNull();
    await client.end();
  });
});

describe.runIf(process.getuid?.() === 0)("as root", () => {
  test("the server of a Tartan that is root runs as an unprivileged user", async () => {
    await using _ = await scene.start();
    const server = await scene.postmaster();
    const status = await readFile(`/proc/${server?.pid}/status`, "utf8");
    expect(status).not.toMatch(/^Uid:\s+0\b/m);
  });

  test("a database whose folder was closed to the server's user later is refused with the folder's name", async () => {
    const folder = join(scene.root, "folder");
    scene.dataDir = join(folder, "data");
    await mkdir(folder, { mode: 0o755 });
    await (await scene.start())[Symbol.asyncDispose]();
    await chmod(folder, 0o700);
    await expect(scene.start()).rejects.toMatchObject({ code: "config_invalid" });
    await expect(scene.start()).rejects.toThrow(`may not enter ${folder}.`);
    await chmod(folder, 0o755);
  });
});
