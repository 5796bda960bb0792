/**
 * Postgres is really stopped, and really frozen, under a load of webhooks, and the receiver is killed meanwhile: every answer is 200 or an
 * honest 503, and what was acknowledged is in the journal once and in order.
 */
import { rm } from "node:fs/promises";
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { expectMirrorEqualsTruth } from "../support/oracle.ts";
import type { TartanProcess } from "../support/process.ts";
import { until } from "../support/until.ts";
import { ADMIN_KEY } from "../support/world/processes.ts";
import { faultsOfJournal, isDrained, isKept, openOutage, readyz, type OutageWorld } from "./outage-support.ts";

it("what was acknowledged while Postgres was stopped and the receiver was killed is in the journal once and in order, and the mirror equals Plaid", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { world, postgres, database, senders, url } = outage;
  let server = await outage.start();
  const items = world.integration.makeItemsFor({ url }, 2);
  for (const item of items) expect((await world.integration.linkAt({ url }, item)).status).toBe(200);
  await senders.more(50);
  await isKept(outage);

  await postgres.stop();
  await senders.more(60);
  for (let kill = 0; kill < 2; kill += 1) {
    await server.kill9();
    server = await outage.start();
    await senders.more(60);
  }
  const { status, body } = await readyz(outage);
  expect([status, body?.degraded.length, (body?.spool.waiting ?? 0) > 0]).toEqual([200, 1, true]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
  expect((await fetch(`${url}/v1/items`)).status).toBe(503);
  await expectStatus(outage, server);
  // Plaid changes meanwhile, and an item is linked: its token is in the spool.
  for (const { item_id } of items)
    world.simulator.control.changeTransactions(item_id, { add: 3, modify: 1, remove: 1 });
  const [late] = world.integration.makeItemsFor({ url }, 1);
  if (late) expect((await world.integration.linkAt({ url }, late)).status).toBe(200);

  await postgres.start();
  await senders.more(60);
  await isDrained(outage);
  await senders.stop();
  await expectSpoolInStatus(outage);
  expect(senders.wrong).toEqual([]);
  expect(await faultsOfJournal(database, senders)).toEqual([]);
  await world.simulator.control.idle();
  for (const { item_id } of [...items, ...(late ? [late] : [])])
    await until(`the mirror of ${item_id} equal`, () => isEqual(outage, item_id), 60);
  expect(await server.stop()).toBe(0);
}, 240_000);

/** The API's and the command's, with Postgres there. */
async function expectSpoolInStatus({ world, url }: OutageWorld): Promise<void> {
  const spool = expect.objectContaining({ state: "straight", waiting: 0, bytes: 0, problem: null }) as unknown;
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  expect(await (await fetch(`${url}/v1/status`, { headers })).json()).toMatchObject({ spool });
  const { stdout } = await world.processes.run(["status", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ spools: [{ url, spool }] });
}

const isEqual = ({ world }: OutageWorld, itemId: string): Promise<boolean> =>
  expectMirrorEqualsTruth(world.database, world.simulator, itemId).then(
    () => true,
    () => false,
  );

/** The command has no database, and asks the server. */
async function expectStatus({ world, url }: OutageWorld, server: TartanProcess): Promise<void> {
  const { code, stdout } = await world.processes.run(["status", "--json"]);
  const answer = JSON.parse(stdout) as { error: { code: string }; processes: object[] };
  expect([code, answer.error.code]).toEqual([1, "database_unavailable"]);
  expect(answer.processes).toEqual([
    expect.objectContaining({
      url,
      pid: server.pid,
      ready: expect.objectContaining({ status: "ready", spool: expect.objectContaining({ state: "spooling" }) }),
    }),
  ]);
  const text = await world.processes.run(["status"]);
  expect(text.stdout).toContain("are accepted");
  expect(text.stdout).toMatch(/spooling: \d+ arrivals waiting/);
}

it("while Postgres is frozen webhooks are acknowledged, also by a receiver that starts then, and all of them are stored afterwards", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { postgres, database, senders } = outage;
  let server = await outage.start();
  await senders.more(30);
  await isKept(outage);
  postgres.freeze();
  await senders.more(40);
  expect((await readyz(outage)).status).toBe(200);
  await server.kill9();
  server = await outage.start();
  await senders.more(40);
  postgres.thaw();
  await isDrained(outage);
  await senders.more(20);
  await senders.stop();
  expect(senders.wrong).toEqual([]);
  expect(await faultsOfJournal(database, senders)).toEqual([]);
}, 240_000);

it("a receiver that starts without Postgres and is asked to stop ends in order, and one without caches ends as before", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { world, postgres, senders } = outage;
  const first = await outage.start();
  await senders.more(10);
  await isKept(outage);
  expect(await first.stop()).toBe(0);
  postgres.freeze();
  const second = await outage.start();
  expect(await second.stop()).toBe(0);
  await rm(`${world.processes.env["TARTAN_DATA_DIR"]}/cache`, { recursive: true });
  const third = world.processes.start(["up"], {}, (line) => (line.includes("waiting for Postgres") ? "waits" : null));
  expect((await third).url).toBe("waits");
  const open = (await third).output.filter((line) => line.includes("webhooks are accepted"));
  expect(open).toEqual([]);
}, 240_000);
