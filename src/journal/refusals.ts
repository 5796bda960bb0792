/**
 * Records requests that the intake refused, so that an operator sees a wrong secret. Anyone may send garbage, so a refusal must
 * cost little: refusals are gathered and written every second, similar ones share one row with a count, and
 * those beyond a second's few rows are counted by reason alone.
 *
 *   noted → written with those of its second
 *         → refused by Postgres for what one of them holds → each written alone; that one by its reason alone
 *         → Postgres away → noted again, folded with what comes meanwhile
 */
import { isIP } from "node:net";
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { fromCursor, toCursor } from "../model/cursors.ts";
import { pageSize } from "../model/listing.ts";
import type { Refusal, RefusalSink } from "../model/refusal.ts";
import { isDataFault } from "./failures.ts";
import { INSERT_REFUSALS, listRefusalsQuery } from "./queries.ts";

const WRITE_EVERY_MS = 1000;
/** Rows a second, which bounds what a flood writes; the rest is counted by reason. */
const ROWS_AT_ONCE = 50;
const DETAIL_MAX = 300;
const ID_MAX = 100;
/** The largest integer of a column. */
const INTEGER_MAX = 2_147_483_647;

export interface Refusals extends RefusalSink, AsyncDisposable {
  /** Writes what is noted now. */
  flush(): Promise<void>;
}

interface Folded extends Refusal {
  refusedAt: Date | null;
  count: number;
}

interface RefusalsOptions {
  database: Database;
  logger: Logger;
  clock: Clock;
  /** for tests in which nothing depends on how long they take */
  writeEveryMs?: number;
}

/** Opens the record of refusals; disposing it writes what is noted. */
export const openRefusals = (options: RefusalsOptions): Refusals => new RefusalRecorder(options);

class RefusalRecorder implements Refusals {
  readonly #options: RefusalsOptions;
  #noted = new Map<string, Folded>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  record(refusal: Refusal): void {
    // Most are like one that is noted already, and are only counted.
    const alike = this.#noted.get(this.#keyFor(refusal));
    if (alike) return void (alike.count = Math.min(alike.count + 1, INTEGER_MAX));
    this.#note({ ...storable(refusal), refusedAt: instant(this.#options.clock.now()), count: 1 });
    this.#schedule();
  }

  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#noted.size === 0) return;
    const rows = [...this.#noted.values()];
    this.#noted = new Map();
    await this.#write(rows);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  #schedule(): void {
    const { writeEveryMs = WRITE_EVERY_MS } = this.#options;
    if (!this.#closed) this.#timer ??= setTimeout(() => void this.flush(), writeEveryMs).unref();
  }

  #note(refusal: Folded): void {
    const key = this.#keyFor(refusal);
    const alike = this.#noted.get(key);
    if (alike) alike.count = Math.min(alike.count + refusal.count, INTEGER_MAX);
    else this.#noted.set(key, key === ofMany(refusal) ? { ...refusal, ...ANYWHERE } : refusal);
  }

  /** Its own row, or beyond the rows of a second that of its reason. */
  #keyFor(refusal: Refusal): string {
    const { integrationId, listenerId = null, reason, remoteAddress } = refusal;
    const own = `${integrationId} ${listenerId} ${reason} ${remoteAddress}`;
    return this.#noted.size < ROWS_AT_ONCE || this.#noted.has(own) ? own : ofMany(refusal);
  }

  async #write(rows: readonly Folded[]): Promise<void> {
    try {
      await this.#insert(rows);
    } catch (error) {
      if (isDataFault(error)) return await this.#writeEach(rows);
      for (const row of rows) this.#note(row);
      this.#schedule();
      this.#warn(error, rows, "refusals could not be recorded; they are kept and written later");
    }
  }

  /** Writes each row alone, so that one that fails does not lose the others. */
  async #writeEach(rows: readonly Folded[]): Promise<void> {
    for (const row of rows) {
      try {
        await this.#insert([row]);
      } catch (error) {
        this.#warn(error, [row], "a refusal could not be recorded completely; its reason is recorded");
        const bare = { ...row, ...ANYWHERE, detail: "the request's content could not be stored", refusedAt: null };
        await this.#insert([bare]).catch((error: unknown) => this.#warn(error, [row], "a refusal was not recorded"));
      }
    }
  }

  async #insert(rows: readonly Folded[]): Promise<void> {
    await this.#options.database.query(INSERT_REFUSALS, [JSON.stringify(rows)]);
  }

  #warn(error: unknown, rows: readonly Folded[], message: string): void {
    this.#options.logger.warn({ error, refusals: rows.reduce((sum, { count }) => sum + count, 0) }, message);
  }
}

/** Records refusals in the transaction of what they are about; similar ones share a row. */
export async function recordRefusals(tx: Queryable, refusals: readonly (Refusal & { count: number })[]): Promise<void> {
  const folded = new Map<string, Folded>();
  for (const refusal of refusals) {
    const key = `${refusal.integrationId} ${refusal.reason} ${refusal.remoteAddress}`;
    const alike = folded.get(key);
    if (alike) alike.count += refusal.count;
    else folded.set(key, { ...storable(refusal), refusedAt: null, count: refusal.count });
  }
  if (folded.size > 0) await tx.query(INSERT_REFUSALS, [JSON.stringify([...folded.values()])]);
}

const ofMany = ({ reason }: Refusal): string => `${reason} of many`;

const ANYWHERE = {
  integrationId: null,
  listenerId: null,
  detail: "from many senders or to many paths at once",
  remoteAddress: null,
  bodyBytes: null,
};

/** Reasons are Tartan's own and few. The rest comes from the sender and may hold text that Postgres cannot store. */
function storable({ integrationId, listenerId = null, reason, detail, remoteAddress, bodyBytes }: Refusal): Refusal {
  return {
    integrationId: printable(integrationId, ID_MAX),
    listenerId: printable(listenerId, ID_MAX),
    reason,
    detail: printable(detail, DETAIL_MAX),
    // Behind a trusted proxy this comes from a header.
    remoteAddress: remoteAddress !== null && isIP(remoteAddress) !== 0 ? remoteAddress : null,
    bodyBytes: bodyBytes === null || !(bodyBytes >= 0) ? null : Math.min(Math.trunc(bodyBytes), INTEGER_MAX),
  };
}

/** Without control characters and halves of surrogate pairs, which text in Postgres cannot hold all of. */
const printable = (text: string | null, max: number): string | null =>
  text?.slice(0, max).replaceAll(/\p{C}/gu, "") ?? null;

/** Null where a clock that is far off names a time that Postgres cannot store; Postgres then uses its own time. */
function instant(ms: number): Date | null {
  return ms >= 0 && ms <= Date.UTC(9999, 11, 31) ? new Date(ms) : null;
}

export interface RefusalRecord {
  /** ISO 8601; of the first of similar refusals */
  refused_at: string;
  integration_id: string | null;
  /** the listener to whose URL the request was sent */
  listener_id: string | null;
  reason: string;
  detail: string | null;
  remote_address: string | null;
  body_bytes: number | null;
  count: number;
}

export interface RefusalFilter {
  integration_id?: string | undefined;
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
  cursor?: string | null | undefined;
}

type Row = Omit<RefusalRecord, "refused_at"> & { id: number; refused_at: Date };

function toRecord({
  refused_at,
  integration_id,
  listener_id,
  reason,
  detail,
  remote_address,
  body_bytes,
  count,
}: Row): RefusalRecord {
  const facts = { integration_id, listener_id, reason, detail, remote_address, body_bytes, count };
  return { refused_at: refused_at.toISOString(), ...facts };
}

/**
 * One page of refusals, newest first.
 * @throws TartanError `invalid_request` for a limit or cursor that is not usable
 */
export async function listRefusals(
  q: Queryable,
  filter: RefusalFilter,
): Promise<{ data: RefusalRecord[]; next_cursor: string | null }> {
  const limit = pageSize(filter.limit);
  const before = filter.cursor == null ? null : fromCursor("refusals", filter.cursor);
  const integrationId = filter.integration_id?.replaceAll("\0", "");
  const values = [integrationId, before].filter((value) => value != null);
  const { rows } = await q.query<Row>(
    listRefusalsQuery({ ofIntegration: integrationId !== undefined, paged: before !== null }),
    [...values, limit + 1],
  );
  const data = rows.slice(0, limit).map(toRecord);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return { data, next_cursor: last ? toCursor("refusals", String(last.id)) : null };
}
