/** The limit of each statement, which one timer for all connections of a pool keeps. */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { expect, test } from "vitest";
import { clientConfig } from "../../src/database/connection/client-config.ts";
import { commit, explained, send } from "../../src/database/connection/exchange.ts";
import { Watch } from "../../src/database/connection/watch.ts";
import { testDatabase } from "../support/database.ts";

async function opened(url: string) {
  const config = clientConfig({ url, applicationName: "tartan test" });
  const client = new Client(config);
  client.on("error", () => undefined);
  await client.connect();
  const watch = new Watch([config], () => undefined);
  const sleep = async (seconds: number, ms: number): Promise<string> => {
    watch.begin(client, 0, ms);
    try {
      await send(client, { name: "sleep", text: "select pg_sleep($1)" }, [seconds], true);
      return "answered";
    } catch (error) {
      return String((explained(client, error) as Error).message);
    } finally {
      watch.end(client);
    }
  };
  return {
    client,
    sleep,
    [Symbol.asyncDispose]: async () => {
      watch[Symbol.dispose]();
      await client.end().catch(() => undefined);
    },
  };
}

test("a connection whose statement has no answer at its limit is dropped, also when earlier statements were answered in time", async () => {
  await using db = await testDatabase({ empty: true });
  await using connection = await opened(db.url);
  expect(await connection.sleep(0, 60_000)).toBe("answered");
  expect(await connection.sleep(0, 400)).toBe("answered");
  await delay(500);
  expect(await connection.sleep(0, 400)).toBe("answered");
  expect(await connection.sleep(20, 400)).toBe("Postgres cannot be used just now: it did not answer within 0.4 s.");
});

test("a short limit is kept while statements with long limits have theirs", async () => {
  await using db = await testDatabase({ empty: true });
  await using connection = await opened(db.url);
  expect(await connection.sleep(0, 60_000)).toBe("answered");
  expect(await connection.sleep(20, 300)).toMatch(/did not answer within 0.3 s/);
});

test("a statement that was sent behind others on its connection has their time too", async () => {
  await using db = await testDatabase({ empty: true });
  await using connection = await opened(db.url);
  // pg holds the others back until the one before has its answer, as a server would that is busy with it.
  const each = [connection.sleep(0.8, 1500), connection.sleep(0.8, 1500), connection.sleep(0.8, 1500)];
  expect(await Promise.all(each)).toEqual(["answered", "answered", "answered"]);
});

test("an error of a statement has the stack of its caller, and a COMMIT that Postgres turned into a ROLLBACK is none", async () => {
  await using db = await testDatabase({ empty: true });
  await using connection = await opened(db.url);
  const theCaller = async (): Promise<unknown> => await send(connection.client, "select 1 / 0", undefined, true);
  const error = await theCaller().catch((failure: unknown) => failure);
  expect(error).toMatchObject({ code: "22012", stack: expect.stringContaining("theCaller") as unknown });
  await send(connection.client, "begin", undefined, true);
  expect(await commit(connection.client)).toBe(true);
  await send(connection.client, "begin", undefined, true);
  await theCaller().catch(() => undefined);
  expect(await commit(connection.client)).toBe(false);
});
