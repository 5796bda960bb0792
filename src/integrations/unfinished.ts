/**
 * What a change of an integration means for all its items, which may be a million: done after the change has committed, in parts,
 * each a transaction of its own that holds few rows, so that webhooks of others never wait for it. What is to be done is noted
 * with the change; a process that ends in between leaves it to a repeated call, or to the janitor of any process.
 *
 *   credentials changed: retry ─▶ done
 *   deleted:             end ─▶ done
 *   deleted with purge:  purge ─▶ purged (late webhooks may still come) ─▶ the integration's row is gone
 */
import { cancellable } from "../database/cancellable.ts";
import { removeReader } from "../database/reader.ts";
import type { Database, Queryable } from "../database/types.ts";
import { recordEvents } from "../events/events.ts";
import { itemRemoved } from "./items.ts";
import {
  AWAIT_RELAY,
  DROP_TOKENS,
  END_SUBJECTS,
  FORGET_INTEGRATION,
  FORGET_LOOPS,
  FORGET_WAITING,
  LIST_UNFINISHED,
  MIRROR_TABLES,
  NOTE_DONE,
  NOTIFY_DUE,
  OLDEST_WAITING,
  PURGE_ROWS,
  PURGE_WEBHOOKS,
  PURGED_TABLES,
  RETRY_SUBJECTS,
  SETTLE_INTEGRATION,
} from "./queries.ts";

type Unfinished = "retry" | "end" | "purge" | "purged";

const LEAST_UUID = "00000000-0000-0000-0000-000000000000";

/** Finishes what other calls left undone, of all integrations: one that fails does not keep the others; its failure is thrown at the end. */
export async function finishIntegrations(database: Database, signal?: AbortSignal): Promise<void> {
  const { rows } = await database.query<{ id: string; unfinished: Unfinished }>(LIST_UNFINISHED);
  const failures: unknown[] = [];
  for (const { id, unfinished } of rows) {
    await finish(database, id, unfinished, signal).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

/** Does what is noted for the integration. It may be done by several at once, and again. */
export async function finish(
  database: Database,
  id: string,
  unfinished: Unfinished,
  signal?: AbortSignal,
): Promise<void> {
  const q = cancellable(database, signal);
  const done = async (next: Unfinished | null) => await q.query(NOTE_DONE, [id, unfinished, next]);
  if (unfinished === "retry") {
    await eachPage(q, RETRY_SUBJECTS, id);
    await done(null);
    await q.query(NOTIFY_DUE);
    return;
  }
  await end(database, q, id, signal);
  if (unfinished === "end") return void (await done(null));
  await purge(database, q, id);
  await done("purged");
  await q.query(FORGET_INTEGRATION, [id]);
}

/** Wipes the tokens and ends the subjects, and with them the wait of the webhooks that no run will serve. */
async function end(database: Database, q: Queryable, id: string, signal: AbortSignal | undefined): Promise<void> {
  while (await dropTokens(database, id)) signal?.throwIfAborted();
  await eachPage(q, END_SUBJECTS, id);
  for (const statement of FORGET_LOOPS) await q.query(statement, [id, null]);
  const { rows } = await q.query<{ id: string }>(OLDEST_WAITING, [id]);
  let behind: string | undefined = LEAST_UUID;
  while (behind !== undefined) {
    behind = (await q.query<{ id: string }>(SETTLE_INTEGRATION, [id, rows[0]?.id ?? null, behind])).rows[0]?.id;
  }
  await eachPage(q, FORGET_WAITING, id);
}

/** Some of them, with the events that say so; false once there are none. */
async function dropTokens(database: Database, id: string): Promise<boolean> {
  return await database.transaction(async (tx) => {
    const { rows } = await tx.query<{ item_id: string; user_id: string | null }>(DROP_TOKENS, [id]);
    const removed = rows.map(({ item_id, user_id }) =>
      itemRemoved({ integration_id: id, item_id }, "unlinked", user_id),
    );
    await recordEvents(tx, removed);
    return rows.length > 0;
  });
}

async function eachPage(q: Queryable, statement: string, id: string): Promise<void> {
  let behind: { kind: string; id: string } | undefined = { kind: "", id: "" };
  while (behind) {
    const values: string[] = [id, behind.kind, behind.id];
    behind = (await q.query<{ kind: string; id: string }>(statement, values)).rows[0];
  }
}

async function purge(database: Database, q: Queryable, id: string): Promise<void> {
  await removeReader(database, id);
  const { rows } = await q.query<{ name: string }>(MIRROR_TABLES, [false]);
  const all = async (statement: string): Promise<void> => {
    while ((await q.query(statement, [id])).rowCount > 0);
  };
  for (const statement of [PURGE_WEBHOOKS, ...rows.map(({ name }) => PURGE_ROWS(name))]) await all(statement);
  await q.query(AWAIT_RELAY);
  for (const table of PURGED_TABLES) await all(PURGE_ROWS(table));
}
