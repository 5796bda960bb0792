/**
 * One Postgres server for a whole test run, with a template database that was migrated once; every test clones its own
 * from it. TARTAN_TEST_DATABASE_URL names another server to run on (its role must be allowed to create databases), and
 * TARTAN_TEST_POSTGRES_BIN the programs of an installed PostgreSQL to start one of instead of the embedded one.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startEmbedded } from "../../src/embedded/embedded.ts";
import { isAlive, stopPostmaster } from "../../src/embedded/postmaster.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { describeTables } from "../../src/mirror/comments.ts";
import { silentLogger } from "../../src/logger.ts";
import { execute } from "./execute.ts";
import { startInstalled } from "./installed-postgres.ts";
import { SCRATCH_DIRS, scratchDir } from "./scratch.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** a database to connect to for creating others */
    maintenanceUrl: string;
    templateDatabase: string;
  }
}

/** Faster, and nothing is lost: the data is thrown away. */
const SETTINGS = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "400" };

interface Server extends AsyncDisposable {
  url: string;
}

const PREFIX = "tartan-test-";

/** Stops and removes what runs that were killed left behind. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split("-")[0]) : 0;
    if (pid === 0 || isAlive(pid)) continue;
    const dataDir = join(folder, name);
    try {
      await stopPostmaster(join(dataDir, "postgres", "data"));
      await rm(dataDir, { recursive: true, force: true });
    } catch {
      // another user's
    }
  }
}

async function startServer(): Promise<Server> {
  const given = process.env["TARTAN_TEST_DATABASE_URL"];
  if (given !== undefined && given !== "") return { url: given, [Symbol.asyncDispose]: async () => undefined };
  const bin = process.env["TARTAN_TEST_POSTGRES_BIN"];
  if (bin !== undefined && bin !== "") return await startInstalled(bin, SETTINGS);
  // What is left in memory takes the room there, so that goes before the choice.
  for (const folder of SCRATCH_DIRS) await sweep(folder);
  const dataDir = await mkdtemp(join(scratchDir(), `${PREFIX}${process.pid}-`));
  const embedded = await startEmbedded({ dataDir, logger: silentLogger, settings: SETTINGS });
  return {
    url: embedded.url,
    [Symbol.asyncDispose]: async () => {
      await embedded[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Writes the comments of the tables, so that no process of a test does it again. */
async function describe(url: string): Promise<void> {
  await using database = await openDatabase({ url, poolSize: 1, applicationName: "tartan test", logger: silentLogger });
  await describeTables(database);
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const server = await startServer();
  const template = `tartan_template_${randomBytes(6).toString("hex")}`;
  await execute(server.url, `create database ${template}`);
  const templateUrl = new URL(server.url);
  templateUrl.pathname = `/${template}`;
  await migrate(templateUrl.href, { logger: silentLogger });
  await describe(templateUrl.href);
  // Nobody may connect: a database can be cloned only while no session uses it.
  await execute(server.url, `alter database ${template} with is_template true allow_connections false`);
  provide("maintenanceUrl", server.url);
  provide("templateDatabase", template);
  return async () => {
    await execute(server.url, `alter database ${template} with is_template false`, `drop database ${template}`);
    await server[Symbol.asyncDispose]();
  };
}
