/** The oracle of notices: what an item's events say that its notices are, and what the simulator knows of its consent. */
import { expect } from "vitest";
import type { Database } from "../../src/database/types.ts";
import type { Simulator } from "../../src/simulator/index.ts";

interface Data {
  kind?: string;
  reason?: string;
  product?: string | null;
  account_id?: string | null;
}

const EXPIRING: Readonly<Record<string, string>> = {
  PENDING_EXPIRATION: "consent_expiring",
  PENDING_DISCONNECT: "disconnect_pending",
};
const WEEK_MS = 7 * 86_400_000;

const nameOf = (kind: string, { product, account_id }: Data): string =>
  [kind, product ?? account_id ?? ""].join(" ").trim();

/** What an event opens; null: nothing. */
function opens(type: string, data: Data): string | null {
  if (type === "item.consent_expiring") return EXPIRING[data.reason ?? ""] ?? null;
  if (type === "item.new_accounts") return "new_accounts";
  if (type === "item.account_revoked") return nameOf("account_revoked", data);
  return type === "item.permissions_required" ? nameOf("permissions_required", data) : null;
}

/** The notices that are open by the events of the item, in their order. */
async function openByEvents(database: Database, itemId: string): Promise<string[]> {
  const { rows } = await database.query<{ type: string; data: Data }>(
    `select e.type, convert_from(e.payload, 'UTF8')::json -> 'data' as data
     from events.outbox o, unnest(o.events) with ordinality named (id, n) join events.events e using (id)
     where e.item_id = $1 and e.type like 'item.%' order by o.id, n`,
    [itemId],
  );
  const open = new Set<string>();
  for (const { type, data } of rows) {
    const opened = opens(type, data);
    if (opened !== null) open.add(opened);
    if (type === "item.notice_cleared") open.delete(nameOf(data.kind ?? "", data));
    if (type === "item.removed") open.clear();
  }
  return [...open].toSorted();
}

/** Expects that an item's notices are what its events say, and that it has one of its consent exactly where the consent ends within a week. */
export async function expectNoticesTrue(
  database: Database,
  { control }: Simulator,
  itemId: string,
  now = Date.now(),
): Promise<void> {
  const { rows } = await database.query<Data & { kind: string }>(
    "select kind, product, account_id from plaid.item_notices where item_id = $1",
    [itemId],
  );
  const kept = rows.map((row) => nameOf(row.kind, row)).toSorted();
  expect(kept).toEqual(await openByEvents(database, itemId));
  const { consent_expiration_time: ends } = control.item(itemId)["item"] as { consent_expiration_time: string | null };
  const endsSoon = ends !== null && Date.parse(ends) <= now + WEEK_MS;
  expect(kept.includes("consent_expiring")).toBe(endsSoon);
}
