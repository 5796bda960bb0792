/**
 * The embedded Postgres is killed, and cannot be started, under a load of webhooks: none that was acknowledged is lost, and the door
 * stays open.
 */
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { until } from "../support/until.ts";
import { faultsOfJournal, isDrained, isKept, openOutage, readyz, type OutageWorld } from "./outage-support.ts";

async function expectAllStored(outage: OutageWorld): Promise<void> {
  const { senders, database } = outage;
  await isDrained(outage);
  await senders.stop();
  expect(senders.wrong).toEqual([]);
  expect(await faultsOfJournal(database, senders)).toEqual([]);
}

/** Kills the postmaster, and resolves with the process id of the next one once that is ready. */
async function killPostgres({ postgres }: OutageWorld): Promise<void> {
  const killed = (await postgres.postmaster()) ?? 0;
  process.kill(killed, "SIGKILL");
  await until("another server", async () => ![null, killed].includes(await postgres.postmaster()));
}

it("an embedded Postgres that is killed again and again, at last with its Tartan, loses no acknowledged webhook", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer, { embedded: true });
  const { postgres, senders } = outage;
  let server = await outage.start();
  await senders.more(30);
  await isKept(outage);
  for (let kill = 0; kill < 3; kill += 1) {
    await killPostgres(outage);
    await senders.more(20);
  }
  process.kill((await postgres.postmaster()) ?? 0, "SIGKILL");
  await server.kill9();
  server = await outage.start();
  await senders.more(30);
  await expectAllStored(outage);
  expect(await server.stop()).toBe(0);
}, 240_000);

it.each(["postgres/data/global/pg_control", "postgres/data/PG_VERSION", "postgres/password"])(
  "an embedded Postgres that cannot start for want of %s delays no webhook, and is used as soon as that is fixed",
  async (name) => {
    await using closer = new Closer();
    const outage = await openOutage(closer, { embedded: true });
    const { postgres, senders } = outage;
    const file = join(postgres.dataDir, name);
    let server = await outage.start();
    await senders.more(20);
    await isKept(outage);
    expect(await server.stop()).toBe(0);
    await rename(file, `${file}.away`);
    server = await outage.start();
    await senders.more(20);
    const isSaid = () => server.output.some((line) => line.includes("webhooks are accepted meanwhile"));
    await until("the reason in the log", isSaid);
    const { status, body } = await readyz(outage);
    expect([status, (body?.spool.waiting ?? 0) > 0]).toEqual([200, true]);
    await rename(`${file}.away`, file);
    await expectAllStored(outage);
    expect(await server.stop()).toBe(0);
  },
  240_000,
);

it("a receiver whose embedded database is of another version of Postgres ends and says so", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer, { embedded: true });
  const server = await outage.start();
  await outage.senders.more(10);
  await isKept(outage);
  await outage.senders.stop();
  expect(await server.stop()).toBe(0);
  const file = join(outage.postgres.dataDir, "postgres/data/PG_VERSION");
  const version = await readFile(file, "utf8");
  await writeFile(file, "12\n");
  const next = await outage.start();
  if (next.child.exitCode === null) await once(next.child, "exit");
  await writeFile(file, version);
  expect(next.child.exitCode).toBe(1);
  expect(next.output.join("\n")).toContain("is of Postgres 12");
}, 120_000);
