/** The data directory: what cannot be used is refused in a sentence, and nothing in it is ever deleted. */
import { execFile, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBinaries } from "../../src/embedded/binaries.ts";
import { silentLogger } from "../../src/logger.ts";
import { embeddedScene, firstReport, kill, query } from "./scene.ts";

const scene = embeddedScene();
const isRoot = process.getuid?.() === 0;

const home = () => join(scene.dataDir, "postgres");
/** The cluster of the scene, stopped. */
const makeCluster = async () => await (await scene.start())[Symbol.asyncDispose]();

/** One sentence or two, an error of the configuration, and never the stack of a system call. */
async function refused(...texts: string[]): Promise<void> {
  const start = scene.start();
  await expect(start).rejects.toMatchObject({
    code: "config_invalid",
    fields: { TARTAN_DATA_DIR: expect.any(String) as string },
  });
  for (const text of texts) await expect(start).rejects.toThrow(text);
}

describe("a path", () => {
  for (const [name, path] of [
    ["spaces, quotes and letters of other scripts", "it's a “día” 数据 $HOME"],
    ["more characters than a socket's path may have", "long".repeat(60)],
  ]) {
    test(`a data directory whose path has ${name} works`, async () => {
      scene.dataDir = join(scene.root, path ?? "");
      await using embedded = await scene.start();
      expect(await query(embedded.url, "select 1 as one")).toEqual([{ one: 1 }]);
    });
  }

  test("a path that is longer than Postgres takes is refused with both lengths", async () => {
    scene.dataDir = join(scene.root, ...Array.from({ length: 6 }, () => "x".repeat(200)));
    await refused("at most 900", "TARTAN_DATA_DIR");
  });

  test("a path with a line break is refused, since postmaster.pid has one path a line", async () => {
    scene.dataDir = join(scene.root, "two\nlines");
    await refused("line break");
  });

  test("a data directory that is a file is refused", async () => {
    scene.dataDir = join(scene.root, randomUUID());
    await writeFile(scene.dataDir, "");
    await refused("is a file");
  });
});

describe("a cluster that cannot be used", () => {
  beforeEach(() => scene.startAfresh());

  test("a cluster without its password file is refused and left as it is", async () => {
    await makeCluster();
    await rm(join(home(), "password"));
    await refused("no password file", "backup");
    expect(await readFile(join(home(), "data", "PG_VERSION"), "utf8")).toMatch(/\d/);
  });

  test("a cluster that another program left incomplete is refused and left as it is", async () => {
    await mkdir(join(home(), "data"), { recursive: true });
    await writeFile(join(home(), "password"), "secret");
    await refused("PG_VERSION is missing");
    expect(await readdir(home())).toContain("data");
  });

  test("a cluster of another version of Postgres is refused with both versions", async () => {
    await makeCluster();
    await writeFile(join(home(), "data", "PG_VERSION"), "14\n");
    await refused("of Postgres 14", "pg_dump");
  });

  test("an empty folder in the cluster's place, such as a fresh volume, becomes a cluster", async () => {
    await mkdir(home(), { recursive: true, mode: 0o755 });
    await using embedded = await scene.start();
    expect(await query(embedded.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("a cluster that a volume's driver opened to a group is closed again and works", async () => {
    await makeCluster();
    await chmod(join(home(), "data"), 0o2770);
    await using embedded = await scene.start();
    expect(await query(embedded.url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect((await stat(join(home(), "data"))).mode & 0o077).toBe(0);
  });

  test.runIf(isRoot)(
    "because it belongs to another user is refused with the user and the command that fixes it",
    async () => {
      await makeCluster();
      await chown(join(home(), "data"), 0, 0);
      await refused("belongs to user id 0", "chown -R");
    },
  );
});

describe("what an earlier version kept outside of the data directory and linked to", () => {
  let elsewhere = "";
  beforeEach(async () => {
    scene.startAfresh();
    elsewhere = join(scene.root, `elsewhere-${randomUUID()}`);
    const first = await scene.start();
    await query(first.url, "create table linked as select 42 as answer");
    await first[Symbol.asyncDispose]();
    await rename(home(), elsewhere);
    await symlink(elsewhere, home());
  });

  async function isHome(): Promise<void> {
    await using embedded = await scene.start();
    expect(await query(embedded.url, "select answer from linked")).toEqual([{ answer: 42 }]);
    expect((await lstat(home())).isDirectory()).toBe(true);
  }

  test("a linked cluster is moved into the data directory", isHome);

  test("a linked cluster is moved into the data directory after a kill in the middle of the move", async () => {
    await rename(elsewhere, `${home()}.moved`);
    await isHome();
  });

  test("a linked cluster is moved into the data directory after a kill just before the end of the move", async () => {
    await rename(elsewhere, `${home()}.moved`);
    await rm(home());
    await isHome();
  });

  test("a linked cluster stays where it is while a server that holds no lock runs on it", async () => {
    const child = await scene.startChild();
    await kill(child.process, "SIGKILL");
    await rename(home(), elsewhere);
    await symlink(elsewhere, home());
    await rm(join(scene.dataDir, "postgres.lock"));
    const server = await scene.postmaster();
    expect(server).not.toBeNull();
    const embedded = await scene.start();
    expect(await scene.postmaster()).toEqual(server);
    expect((await lstat(home())).isSymbolicLink()).toBe(true);
    await embedded[Symbol.asyncDispose]();
    await isHome();
  });

  test("a linked cluster that is gone is refused with the place where it was", async () => {
    await rm(elsewhere, { recursive: true });
    await refused("is missing", elsewhere, "delete the link");
    expect((await lstat(home())).isSymbolicLink()).toBe(true);
  });

  test.runIf(isRoot)("a linked cluster on another disk is copied and the original stays", async () => {
    const other = join("/dev/shm", `tartan-${randomUUID()}`);
    await promisify(execFile)("cp", ["-a", elsewhere, other]);
    await rm(home());
    await symlink(other, home());
    try {
      await isHome();
      expect(await readFile(join(other, "data", "PG_VERSION"), "utf8")).toMatch(/\d/);
    } finally {
      await rm(other, { recursive: true });
    }
  });
});

describe.runIf(isRoot)("as root", () => {
  const cwd = process.cwd();
  afterEach(() => process.chdir(cwd));

  test("a folder that only root may enter is refused with its name and what to do, and nothing is stored elsewhere", async () => {
    const closed = join(scene.root, "closed");
    await mkdir(closed, { mode: 0o700 });
    scene.dataDir = join(closed, "data");
    await refused(`may not enter ${closed}.`, `chmod o+x '${closed}'`, "TARTAN_DATA_DIR");
    expect((await readdir(scene.dataDir)).filter((name) => name.startsWith("postgres"))).toEqual([]);
  });

  test("programs that the server's user cannot reach are copied into the data directory", async () => {
    const closed = join(scene.root, "closed-programs");
    await mkdir(join(closed, "native", "bin"), { recursive: true });
    for (const name of ["initdb", "postgres"]) await writeFile(join(closed, "native", "bin", name), "");
    await writeFile(join(closed, "package.json"), JSON.stringify({ version: "18.4.0" }));
    await chmod(closed, 0o700);
    const dataDir = join(scene.root, "reached");
    await mkdir(dataDir, { mode: 0o711 });
    const account = { uid: 65_534, gid: 65_534 };
    const found = await findBinaries({ dataDir, account, logger: silentLogger }, join(closed, "native"));
    expect(found).toEqual({
      initdb: join(dataDir, "postgres-programs-18.4.0", "bin", "initdb"),
      postgres: join(dataDir, "postgres-programs-18.4.0", "bin", "postgres"),
      major: 18,
    });
  });
});

test.skipIf(isRoot)("a folder that this user may not write is refused with the user and what to do", async () => {
  scene.dataDir = join(scene.root, "read-only", "data");
  await mkdir(join(scene.root, "read-only"), { mode: 0o500 });
  await refused("cannot be written by user id", tmpdir());
});

const MOUNT = ["unshare", "--mount", "sh", "-ec"];
const mayMount = isRoot && spawnSync("unshare", ["--mount", "true"]).status === 0;

describe.skipIf(!mayMount)("a disk (needs `unshare --mount`)", () => {
  const startOn = async (options: string) => {
    scene.startAfresh();
    await mkdir(scene.dataDir, { mode: 0o755 });
    const script = `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`;
    return (await firstReport(scene.spawnChild([...MOUNT, script, scene.dataDir], 1_000))).report;
  };

  test("a data directory on a read-only disk is refused with what to do", async () => {
    const report = await startOn("ro,mode=0755");
    expect(report["code"]).toBe("config_invalid");
    expect(report["message"]).toMatch(/is on a read-only file system\. Mount it writable/);
  });

  test("a disk that is full while the database is made is refused with that reason", async () => {
    const report = await startOn("size=8m,mode=0755");
    expect(report["code"]).toMatch(/^(database_unavailable|config_invalid)$/);
    expect(report["message"]).toMatch(/[Nn]o space left/);
  });
});
