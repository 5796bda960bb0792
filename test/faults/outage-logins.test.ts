/**
 * A receiver starts while Postgres refuses its login, lacks its database, or goes away again in the middle of the start: webhooks are
 * accepted until somebody has fixed it, and then everything works without a restart.
 */
import { expect, it } from "vitest";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { execute } from "../support/execute.ts";
import type { TartanProcess } from "../support/process.ts";
import { until } from "../support/until.ts";
import { faultsOfJournal, isDrained, isKept, openOutage, readyz, type OutageWorld } from "./outage-support.ts";

const ROLE = "create role receiver superuser login password 'before'";

/** The URL with the login of the test, which it can change. */
function loginOf(url: string): string {
  const login = new URL(url);
  login.username = "receiver";
  login.password = "before";
  return login.href;
}

function maintenanceOf(url: string): string {
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  return maintenance.href;
}

async function expectFixed(outage: OutageWorld, server: TartanProcess): Promise<void> {
  const { database, senders } = outage;
  await isDrained(outage);
  await senders.stop();
  expect(senders.wrong).toEqual([]);
  expect(await faultsOfJournal(database, senders)).toEqual([]);
  await until("the whole server", async () => (await fetch(`${outage.url}/v1/items`)).status === 401);
  expect(await server.stop()).toBe(0);
}

const END = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'tartan'";

it.each([
  ["its password is another", ["alter role receiver password 'after'"], ["alter role receiver password 'before'"]],
  ["its role may not log in", ["alter role receiver nologin"], ["alter role receiver login"]],
  [
    "its database has another name",
    ["alter database tartan allow_connections false", END, "alter database tartan rename to elsewhere"],
    ["alter database elsewhere rename to tartan", "alter database tartan allow_connections true"],
  ],
])(
  "a receiver that starts while %s accepts webhooks, says that somebody must fix it, and works when it is fixed",
  async (_what, breaking, fixing) => {
    await using closer = new Closer();
    const outage = await openOutage(closer);
    const { postgres, senders } = outage;
    const maintenance = maintenanceOf(postgres.url);
    await execute(maintenance, ROLE);
    const env = { TARTAN_DATABASE_URL: loginOf(postgres.url) };
    const first = await outage.start(env);
    await senders.more(20);
    await isKept(outage);
    expect(await first.stop()).toBe(0);
    await execute(maintenance, ...breaking);
    const server = await outage.start(env);
    await senders.more(20);
    const isSaid = () => server.output.some((line) => line.includes("somebody must fix"));
    await until("an error in the log", isSaid);
    expect((await readyz(outage)).status).toBe(200);
    await execute(maintenance, ...fixing);
    await expectFixed(outage, server);
  },
  240_000,
);

it("a receiver accepts webhooks when Postgres goes away again while its roles start, and starts them when it is back", async () => {
  await using closer = new Closer();
  const outage = await openOutage(closer);
  const { database, senders } = outage;
  const first = await outage.start();
  await senders.more(20);
  await isKept(outage);
  expect(await first.stop()).toBe(0);
  // Registering the process is the last step of a start.
  await database.query(`create function public.refuse() returns trigger language plpgsql as
    $$ begin raise exception 'shutting down' using errcode = '57P01'; end $$`);
  await database.query(
    "create trigger refuse before insert on tartan.processes for each row execute function public.refuse()",
  );
  const server = await outage.start();
  await senders.more(20);
  await until("the reason in the log", () =>
    server.output.some((line) => line.includes("webhooks are accepted meanwhile, everything else waits")),
  );
  await senders.more(20);
  expect((await fetch(`${outage.url}/v1/items`)).status).toBe(503);
  await database.query("drop trigger refuse on tartan.processes");
  await expectFixed(outage, server);
}, 240_000);
