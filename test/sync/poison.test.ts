/**
 * One endpoint of an item that answers badly, for every resource of items: the others stay fresh, and the poisoned one keeps its rows,
 * its `verified_at` and a reason. Each resource poisons an item of its own, so one round tries all of them.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createLogger } from "../../src/logger.ts";
import { nameOf, tablesOf } from "../../src/mirror/rows.ts";
import { PlaidError } from "../../src/plaid/errors.ts";
import { endpointsOf, resourcesOf, rootTable } from "../../src/resources/index.ts";
import type { Resource } from "../../src/resources/types.ts";
import { resourcesOfItem } from "../../src/sync/cursor-queries.ts";
import { requestSync } from "../../src/sync/queries.ts";
import { addSubject, getSubject, requestSubjectSync } from "../../src/sync/subjects.ts";
import { gated } from "./support.ts";
import { startWorld, type Item, type World } from "../support/world/index.ts";

const RESOURCES = resourcesOf("item").filter(({ billed }) => billed === undefined);
/** An increment without changes has no rows that could be wrong. */
const WHOLE = RESOURCES.filter(({ fetch }) => fetch.kind !== "cursor");
const OTHERS = RESOURCES.filter((each) => rootTable(each) === undefined);
const PRODUCTS = [...new Set(RESOURCES.flatMap(({ products = [] }) => products.slice(0, 1)))];

let world: World<"sync">;
/** by the resource that is poisoned */
const items = new Map<string, Item>();
beforeAll(async () => {
  world = await startWorld({ sync: {} });
  const made = world.integration.makeItems(RESOURCES.length, 30, { products: PRODUCTS });
  for (const [n, { name }] of RESOURCES.entries()) {
    const item = made[n];
    if (!item) throw new Error("no item");
    items.set(name, item);
    await world.integration.link(item);
  }
  await using worker = await world.sync.start();
  await worker.idle();
});
afterAll(() => world[Symbol.asyncDispose]());

type Body = Record<string, unknown>;
type Poison = (text: string, resource: Resource) => string;

const refusal = (httpStatus: number, errorType: string, errorCode: string): Poison => {
  return () => {
    throw new PlaidError({ errorType, errorCode, httpStatus });
  };
};

/** The answer without the first list or object of the resource's rows. */
function withoutPlace(text: string, { tables: [table] }: Resource): string {
  const body = JSON.parse(text) as Body;
  const [first = "", ...rest] = (table.rows[0]?.at ?? "").replaceAll("[]", "").split(".");
  if (rest.length === 0 || Array.isArray(body[first])) delete body[first];
  else delete (body[first] as Body)[rest[0] ?? ""];
  return JSON.stringify(body);
}

/** Reads all of every item, each with its poison, and hurries nothing that fails. */
async function poisoned(poison: Poison): Promise<void> {
  const tokens = new Map([...items].map(([name, { access_token }]) => [access_token, name]));
  const real = gated((_path, _body, pass) => pass());
  for (const { item_id } of items.values()) await requestSync(world.database, item_id, {});
  await world.sync.hurry();
  await using worker = await world.sync.start({
    delays: { retryMs: 600_000, retryMaxMs: 600_000 },
    clientFor: (integration) => {
      const client = real(integration);
      return {
        ...client,
        post: async (path, body, signal) => {
          const answer = await client.post(path, body, signal);
          const name = tokens.get(String((body as Body)["access_token"]));
          const resource = RESOURCES.find((each) => each.name === name);
          if (!resource || endpointsOf(resource.fetch)[0] !== path) return answer;
          return { ...answer, text: poison(answer.text, resource) };
        },
      };
    },
  });
  await worker.idle();
}

async function statesOf(
  name: string,
): Promise<Map<string, { verified_at: string | null; absent: string | null; rows: number }>> {
  const { item_id } = items.get(name) as Item;
  const states = await resourcesOfItem(world.database, world.integration.id, item_id);
  return new Map(states.map(({ resource, ...state }) => [resource, state]));
}

async function rowsOf(resource: Resource): Promise<number> {
  let rows = 0;
  const { item_id } = items.get(resource.name) as Item;
  for (const table of tablesOf(resource).map(nameOf))
    rows += (await world.database.query(`select from ${table} where item_id = $1 and removed_at is null`, [item_id]))
      .rows.length;
  return rows;
}

const CASES: [what: string, poison: Poison, code: string | null, of: readonly Resource[]][] = [
  ["an error of the server", refusal(500, "API_ERROR", "INTERNAL_SERVER_ERROR"), "INTERNAL_SERVER_ERROR", RESOURCES],
  ["the refusal of its product", refusal(400, "ITEM_ERROR", "PRODUCTS_NOT_SUPPORTED"), null, OTHERS],
  ["JSON that ends in the middle", (text) => text.slice(0, text.length / 2), "UNREADABLE_ANSWER", RESOURCES],
  ["JSON with a wrong letter", (text) => text.replace(/("\w+"):("|\d)/, "$1:!$2"), "UNREADABLE_ANSWER", WHOLE],
  ["an answer without its rows' place", withoutPlace, "UNREADABLE_ANSWER", RESOURCES],
];

it.each(CASES)(
  "%s at one endpoint leaves the rest of the item fresh, for every endpoint",
  async (_what, poison, code, of) => {
    const before = new Map(await Promise.all(of.map(async ({ name }) => [name, await statesOf(name)] as const)));
    const rows = new Map(await Promise.all(of.map(async (each) => [each.name, await rowsOf(each)] as const)));
    await poisoned(poison);
    for (const resource of of) {
      const { name } = resource;
      const [was, is] = [before.get(name), await statesOf(name)];
      const moved = RESOURCES.filter((each) => is.get(each.name)?.verified_at !== was?.get(each.name)?.verified_at);
      expect({ poisoned: name, fresh: moved.map((each) => each.name) }).toEqual({
        poisoned: name,
        fresh: RESOURCES.filter((each) => each !== resource).map((each) => each.name),
      });
      expect({ poisoned: name, rows: await rowsOf(resource) }).toEqual({ poisoned: name, rows: rows.get(name) });
      const subject = await world.sync.subject(items.get(name)?.item_id ?? "");
      if (code === null) expect(is.get(name)).toMatchObject({ absent: "refused" });
      else expect(subject).toMatchObject({ status: "retrying", last_error: { error_code: code, resource: name } });
    }
  },
);

it("a wrong letter deep in an answer that is the row itself keeps the row, and neither the state nor the log repeats the answer", async () => {
  const made = world.simulator.control.records.create("identity_verification", { webhooks: false });
  const which = { kind: "identity_verification", id: made.records[0]?.id ?? "", integration_id: world.integration.id };
  const lines: unknown[] = [];
  const logger = createLogger("debug", { write: (text: string) => void lines.push(text) });
  let isPoisoned = false;
  const real = gated((_path, _body, pass) => pass());
  await using worker = await world.sync.start({
    logger,
    delays: { retryMs: 600_000, retryMaxMs: 600_000 },
    clientFor: (integration) => {
      const client = real(integration);
      const post: typeof client.post = async (path, body, signal) => {
        const answer = await client.post(path, body, signal);
        return isPoisoned
          ? { ...answer, text: answer.text.replace(/("date_of_birth":)\s*"[^"]*"/, "$1 Jane Doe") }
          : answer;
      };
      return { ...client, post };
    },
  });
  await addSubject(world, which);
  await worker.idle();
  const rows = async (): Promise<unknown[]> =>
    (await world.database.query("select raw, verified_at from plaid.identity_verifications where removed_at is null"))
      .rows;
  const before = await rows();
  expect(before).toHaveLength(1);
  isPoisoned = true;
  await requestSubjectSync(world.database, which);
  await worker.idle();
  expect(await rows()).toEqual(before);
  const { status, error_code, last_error } = await getSubject(world.database, which);
  expect({ status, error_code }).toEqual({ status: "retrying", error_code: "UNREADABLE_ANSWER" });
  expect(JSON.stringify([last_error, lines])).not.toContain("Jane");
});
