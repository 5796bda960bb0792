/** The caches on disk that several processes write, and a master key that another process rotates. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { expect, it } from "vitest";
import { z } from "zod";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { openSealedFile } from "../../src/integrations/sealed-file.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { deleteIntegration } from "../../src/lifecycle/integrations.ts";
import { until } from "../support/until.ts";
import { faultsOfJournal, isDrained, isKept, openLine, openOutage, type OutageWorld } from "./outage-support.ts";

const folderOf = ({ world }: OutageWorld): string => join(world.processes.env["TARTAN_DATA_DIR"] ?? "", "cache");

/** Reads a cache as a start does; each warning of it is in `logged`. */
function readerOf(folder: string, vault: Vault) {
  const logged: string[] = [];
  const logger = pino({ level: "warn" }, { write: (line: string) => void logged.push(line) });
  const read = async (name: string): Promise<Record<string, unknown>[] | null> => {
    await using cache = openSealedFile({
      folder,
      name,
      shape: z.array(z.record(z.string(), z.unknown())),
      vault,
      logger,
    });
    return await cache.read();
  };
  return { logged, read };
}

async function expectAllStored(outage: OutageWorld): Promise<void> {
  await isDrained(outage);
  await outage.senders.stop();
  expect(outage.senders.wrong).toEqual([]);
  expect(await faultsOfJournal(outage.database, outage.senders)).toEqual([]);
}

it("two receivers that share a data directory write one cache, which can be read at every moment and has what changed last", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { world, postgres, senders } = outage;
  const startSecond = () => world.processes.start(["up"], {}, openLine);
  const [first, second] = [await outage.start(), await startSecond()];
  await senders.more(10);
  await isKept(outage);
  const { logged, read } = readerOf(folderOf(outage), world.vault);
  const over = new AbortController();
  const reading = (async () => {
    let missing = 0;
    for (; !over.signal.aborted; await delay(2)) if ((await read("integrations")) === null) missing += 1;
    return missing;
  })();
  const made = { client_id: "client-2", secret: "secret", environment: "sandbox" as const };
  for (let round = 0; round < 12; round += 1) {
    const { id } = await createIntegration(world.database, world.vault, made);
    if (round % 3 === 0) await deleteIntegration(world.database, id);
    await delay(300);
  }
  const ids = async () => {
    const { rows } = await world.database.query<{ id: string }>(
      "select id from tartan.integrations where deleted_at is null",
    );
    return rows.map(({ id }) => id);
  };
  const all = await ids();
  await until("all integrations in the cache", async () => {
    const kept = (await read("integrations"))?.map((row) => String(row["id"]));
    return JSON.stringify(kept?.toSorted()) === JSON.stringify(all.toSorted());
  });
  over.abort();
  expect(await reading).toBe(0);
  expect(logged).toEqual([]);
  await postgres.stop();
  await Promise.all([first.kill9(), second.kill9()]);
  await outage.start();
  const { url } = await startSecond();
  await senders.more(20);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  await postgres.start();
  await expectAllStored(outage);
  const unfinished = (await readdir(folderOf(outage))).filter((name) => name.endsWith(".new"));
  // One that is written just now.
  expect(unfinished.length).toBeLessThanOrEqual(1);
}, 240_000);

it("after a rotation of the master key by another process, a receiver that has only the new key starts without Postgres", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { world, postgres, senders } = outage;
  const newKey = Buffer.alloc(32, 9).toString("base64");
  const both = { TARTAN_MASTER_KEY: `${newKey},${world.masterKey}` };
  let server = await outage.start(both);
  await senders.more(10);
  await isKept(outage);
  expect((await world.processes.run(["vault", "rotate", "--json"], both)).code).toBe(0);
  const { read } = readerOf(folderOf(outage), openVault([newKey]));
  for (const name of ["integrations", "verification-keys"])
    await until(`${name} under the new key`, async () => ((await read(name)) ?? []).length > 0, 90);
  await postgres.stop();
  const again = await world.processes.run(["vault", "rotate", "--json"], both);
  expect([again.code, again.stdout + again.stderr]).toEqual([1, expect.stringContaining("database_unavailable")]);
  await server.kill9();
  server = await outage.start({ TARTAN_MASTER_KEY: newKey });
  await senders.more(20);
  await postgres.start();
  await expectAllStored(outage);
  expect(await server.stop()).toBe(0);
}, 240_000);
