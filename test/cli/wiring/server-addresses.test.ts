/** The files by which `tartan status` finds the servers of a data directory while Postgres is away. */
import { mkdtemp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Closer } from "../../../src/cli/wiring/closer.ts";
import { announce, askRunning } from "../../../src/cli/wiring/server-addresses.ts";
import { silentLogger } from "../../../src/logger.ts";

const READY = { status: "ready", reasons: [], degraded: [], warnings: [], spool: null };

const closer = new Closer();
let dataDir = "";
let url = "";
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tartan-addresses-"));
  closer.defer(() => rm(dataDir, { recursive: true, force: true }));
  const server = createServer((_request, response) => response.end(JSON.stringify(READY)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closer.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => closer[Symbol.asyncDispose]());

it("a server is found once, under its own name, and removes the files that killed containers with its URL left", async () => {
  const folder = join(dataDir, "processes");
  await mkdir(folder);
  const left = { pid: 1, url, roles: ["receiver"] };
  for (const host of ["0-container", "zz-container"])
    await writeFile(join(folder, `${host}-1.json`), JSON.stringify({ ...left, host }));
  await using own = new Closer();
  await announce({ config: { dataDir }, closer: own, logger: silentLogger }, { url, roles: ["receiver", "sync"] });
  expect(await readdir(folder)).toEqual([`${hostname()}-${process.pid}.json`]);
  expect(await askRunning(dataDir)).toMatchObject([{ url, pid: process.pid, roles: ["receiver", "sync"] }]);
});

it("a server that has ended leaves no file", async () => {
  expect((await readdir(join(dataDir, "processes"))).filter((name) => name.includes(String(process.pid)))).toEqual([]);
});
