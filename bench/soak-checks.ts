/** What must hold at the end of a soak: nothing waits, nothing is lost, and the mirror equals the simulator. */
import { setTimeout as delay } from "node:timers/promises";
import type { SimulatorProcess } from "./simulator.ts";
import { tell } from "./report.ts";
import type { World } from "./world.ts";

/** How long the rest of the work may take, the retries of the simulator's webhooks with it. */
const QUIET_MS = 10 * 60_000;
const STEADY_LOOKS = 10;

/** Waits until nothing waits for sync or for the relay, and stays so for some seconds. */
export async function untilQuiet({ database }: World): Promise<void> {
  let quiet = 0;
  for (const end = Date.now() + QUIET_MS; Date.now() < end; await delay(500)) {
    const { rows } = await database.query<{ busy: number }>(BUSY);
    const busy = rows[0]?.busy ?? 0;
    quiet = busy === 0 ? quiet + 1 : 0;
    if (quiet >= STEADY_LOOKS) return;
    if (busy > 0 && Math.random() < 0.05) tell(`${busy} still wait`);
  }
  throw new Error("work still waits after ten minutes");
}

const BUSY = `
  select ((select count(*) from events.sync_outbox) + (select count(*) from events.outbox where position is null)
    + (select count(*) from sync.subjects where lease_token is not null or due_at <= now() + interval '1 minute')
    + (select count(*) from relay.deliveries where due_at is not null))::int as busy`;

/** @param acknowledged a byte for each webhook of the flood: 1, acknowledged */
export async function countsInJournal(
  { database }: World,
  acknowledged: Uint8Array,
): Promise<{ lost: number; twice: number; rows: number }> {
  const found = new Uint8Array(acknowledged.length);
  let rows = 0;
  for (let after = "00000000-0000-0000-0000-000000000000"; ;) {
    const page = await database.query<{ id: string; number: number }>(NUMBERS, [after]);
    for (const { number } of page.rows) found[number] = (found[number] ?? 0) + 1;
    rows += page.rows.length;
    const last = page.rows.at(-1);
    if (last === undefined) break;
    after = last.id;
  }
  const lost = acknowledged.reduce((sum, each, number) => sum + (each === 1 && found[number] === 0 ? 1 : 0), 0);
  const twice = found.reduce((sum, each) => sum + (each > 1 ? 1 : 0), 0);
  return { lost, twice, rows };
}

const NUMBERS = `
  select id, (substring(convert_from(body, 'UTF8') from '"new_transactions": (\\d+)'))::int as number
  from journal.webhooks where id > $1::uuid and item_id like 'soak-%' order by id limit 20000`;

interface Truth {
  transactions: { transaction_id: string; amount: number; name: string; date: string; pending: boolean }[];
}

/** The items whose current transactions are not those of the simulator. */
export async function wrongItems(scene: {
  world: World;
  simulator: SimulatorProcess;
  integrationId: string;
  itemIds: readonly string[];
}): Promise<string[]> {
  const wrong: string[] = [];
  for (const item of scene.itemIds) {
    const truth = await scene.simulator.get<Truth>(`/_simulator/items/${item}/transactions`);
    const { rows } = await scene.world.database.query<{ row: string }>(MIRRORED, [scene.integrationId, item]);
    const expected = truth.transactions.map(({ transaction_id, amount, name, date, pending }) =>
      JSON.stringify([transaction_id, amount, name, date, pending]),
    );
    const mirrored = rows.map(({ row }) => JSON.stringify(JSON.parse(row)));
    if (expected.toSorted().join("\n") !== mirrored.toSorted().join("\n")) wrong.push(item);
  }
  return wrong;
}

const MIRRORED = `
  select jsonb_build_array(transaction_id, raw -> 'amount', name, date, pending)::text as row
  from plaid.current_transactions where integration_id = $1 and item_id = $2`;
