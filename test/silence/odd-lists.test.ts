/** What Plaid's list of sent webhooks does not document: nothing is lost by it, and nothing is asked for ever. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PlaidClient } from "../../src/plaid/client.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import { until } from "../support/until.ts";
import { startWorld, type Json, type World } from "../support/world/index.ts";
import { openLists, readLists } from "./support.ts";

let world: World<"integration">;
beforeAll(async () => {
  world = await startWorld({ integration: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

describe("a list that Plaid answers in a way that it does not document", () => {
  const sentAt = (n: number) => new Date(Date.now() - 3_600_000 + n * 1000).toISOString();
  const event = (n: number, fields: Json = {}): Json => ({
    webhook_message_id: `odd ${n}`,
    webhook_type: "ITEM",
    webhook_code: "NEW_ACCOUNTS_AVAILABLE",
    item_id: "an item of nobody",
    sent_time: sentAt(n),
    payload: { item_id: "an item of nobody", secret_of_nobody: true },
    destination_url: `https://tartan.example.com/v1/integrations/${world.integration.id}`,
    delivery_status: "DELIVERED",
    last_http_status_code: 200,
    attempt_count: 1,
    last_attempt_time: sentAt(n),
    ...fields,
  });
  const page = (answer: Json) => ({ text: JSON.stringify(answer), requestId: "" });
  /** One turn of reading. @returns the requests */
  async function turn(answer: (request: Json, n: number) => Json): Promise<Json[]> {
    const requests: Json[] = [];
    const post: PlaidClient["post"] = async (_path, request) => {
      requests.push(request);
      return page(answer(request, requests.length));
    };
    const odd = await openLists(world, { clientFor: () => ({ post }) as PlaidClient, graceMs: 600_000_000 });
    await world.database.query("update silence.sent_lists set next_at = now()");
    await odd.work(new AbortController().signal);
    return requests;
  }
  /** Without the second reading, of what was not delivered. */
  const newOnes = (requests: Json[]) => requests.filter((request) => !request["delivery_statuses"]);
  const stateOf = async (): Promise<Json> => {
    const { rows } = await world.database.query<Json>(
      `select state, error ->> 'error_code' as code, cursor, read_to, next_at > now() + interval '5 minutes' as later
      from silence.sent_lists where integration_id = $1`,
      [world.integration.id],
    );
    return rows[0];
  };

  it.each([
    ["names no cursor", (_: Json, n: number) => ({ webhook_events: [event(n)], has_more: true }), 1],
    [
      "names the cursor that it got",
      (_: Json, n: number) => ({ webhook_events: [event(n)], has_more: true, next_cursor: "same" }),
      2,
    ],
    [
      "has the same page behind each cursor",
      (_: Json, n: number) => ({ webhook_events: [event(0)], has_more: true, next_cursor: `n ${n} ${Date.now()}` }),
      2,
    ],
  ])("is an error and is not read for ever, where there is said to be more and it %s", async (_what, answer, asked) => {
    await readLists(world, await openLists(world));
    const before = await stateOf();
    expect(await turn(answer)).toHaveLength(asked);
    expect(await stateOf()).toMatchObject({ code: "UNREADABLE_ANSWER", state: "available", later: true });
    expect((await stateOf()).read_to).toEqual(before.read_to);
  });

  it("loses nothing when its reader dies between two pages, and takes nothing more from a reader that was taken for dead", async () => {
    await readLists(world, await openLists(world));
    let answer: (given: Json) => void = () => undefined;
    const asked: Json[] = [];
    const post: PlaidClient["post"] = async (_path, request) => {
      asked.push(request);
      if (asked.length === 1) return page({ webhook_events: [event(10)], has_more: true, next_cursor: "behind 10" });
      if (asked.length > 2) return page({ webhook_events: [], has_more: false, next_cursor: "behind all" });
      return page(await new Promise<Json>((resolve) => (answer = resolve)));
    };
    const frozen = await openLists(world, { clientFor: () => ({ post }) as PlaidClient, graceMs: 600_000_000 });
    await world.database.query("update silence.sent_lists set next_at = now()");
    const reading = frozen.work(new AbortController().signal);
    await until("its second request", () => asked.length === 2);
    const others = await turn(() => ({ webhook_events: [event(11)], has_more: false, next_cursor: "behind 11" }));
    expect(newOnes(others)).toEqual([{ cursor: "behind 10", count: 100 }]);
    answer({ webhook_events: [event(12)], has_more: false, next_cursor: "behind 12" });
    await reading;
    expect(await stateOf()).toMatchObject({ cursor: "behind 11", code: null });
    const { rows } = await world.database.query<{ id: string }>(
      "select message_id as id from silence.plaid_deliveries where message_id = any ('{odd 10,odd 11,odd 12}') order by 1",
    );
    expect(rows.map(({ id }) => id)).toEqual(["odd 10", "odd 11"]);
  });

  it("is read on only after the interval, where page after page has nothing", async () => {
    const requests = await turn((_, n) => ({ webhook_events: [], has_more: true, next_cursor: `${Date.now()} ${n}` }));
    expect(newOnes(requests)).toHaveLength(10);
    expect(await stateOf()).toMatchObject({ code: null, later: true });
  });

  it("is read again from an hour before the end of the last reading, once its cursor is not known any more", async () => {
    await world.database.query("update tartan.integrations set created_at = now() - interval '1 day'");
    await turn(() => ({ webhook_events: [], has_more: false, next_cursor: "gone" }));
    const { read_to } = await stateOf();
    const requests = await turn((request) => {
      if (request["cursor"])
        throw new PlaidError({ errorType: "INVALID_REQUEST", errorCode: "INVALID_FIELD", httpStatus: 400 });
      return { webhook_events: [event(1)], has_more: false, next_cursor: "new" };
    });
    expect(newOnes(requests).map(({ cursor, start_time }) => cursor ?? Date.parse(start_time))).toEqual([
      "gone",
      read_to.getTime() - 3_600_000,
    ]);
    const { rows } = await world.database.query(
      "select payload from silence.plaid_deliveries where message_id = 'odd 1'",
    );
    // The body of an item that is not linked is not kept.
    expect(rows).toEqual([{ payload: null }]);
  });

  it("stays open to the client, where Plaid refuses to filter by what it did not deliver", async () => {
    const requests = await turn((request) => {
      if (request["delivery_statuses"])
        throw new PlaidError({ errorType: "INVALID_REQUEST", errorCode: "INVALID_FIELD", httpStatus: 400 });
      return { webhook_events: [event(2, { delivery_status: "PENDING" })], has_more: false, next_cursor: "behind" };
    });
    expect(requests.length - newOnes(requests).length).toBe(1);
    expect(await stateOf()).toMatchObject({ state: "available", code: null, cursor: "behind" });
  });
});

it("a client to which Plaid has not opened the list is asked again after a day", async () => {
  await using closed = await startWorld({ integration: {} });
  const { control, clientId: client_id, secret } = closed.simulator;
  control.addClient({ client_id, secret, beta: false });
  await readLists(closed, await openLists(closed));
  const asked = closed.simulator.asked("/beta/webhook_events/list");
  const { rows } = await closed.database.query(
    "select state, error ->> 'error_code' as code, next_at > now() + interval '23 hours' as tomorrow from silence.sent_lists",
  );
  expect(rows).toEqual([{ state: "unavailable", code: "UNAUTHORIZED_ROUTE_ACCESS", tomorrow: true }]);
  expect(asked).toBe(1);
});
