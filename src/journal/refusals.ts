/**
 * Requests that the intake refused, so that a wrong secret is seen and not guessed. Anyone may send garbage, so it must
 * cost little: refusals are gathered and written every second, those alike are folded into one row with a count, and
 * what does not fit into a second's few rows is folded further, by reason alone.
 */
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import type { Logger } from "../logger.ts";
import { fromCursor, pageSize, toCursor } from "./cursors.ts";
import { INSERT_REFUSALS, listRefusalsQuery } from "./queries.ts";

const WRITE_EVERY_MS = 1000;
/** Rows a second, and so a bound of what a flood writes; the rest is counted by reason. */
const ROWS_AT_ONCE = 50;
const DETAIL_MAX = 300;

export interface Refusal {
  /** null where the path names no integration that there is */
  integrationId: string | null;
  /** stable code, such as signature_invalid */
  reason: string;
  /** one sentence, without payload */
  detail: string | null;
  remoteAddress: string | null;
  bodyBytes: number | null;
}

export interface Refusals extends AsyncDisposable {
  /** Notes a refusal; it is written within a second or so. Never throws. */
  record(refusal: Refusal): void;
  /** Writes what is noted now. */
  flush(): Promise<void>;
}

interface Folded extends Refusal {
  refusedAt: Date;
  count: number;
}

/** Opens the notebook of refusals; disposing it writes what is noted. */
export function openRefusals({
  database,
  logger,
  clock,
}: {
  database: Database;
  logger: Logger;
  clock: Clock;
}): Refusals {
  let noted = new Map<string, Folded>();
  let timer: NodeJS.Timeout | null = null;
  const flush = async (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (noted.size === 0) return;
    const rows = [...noted.values()];
    noted = new Map();
    try {
      await database.query(INSERT_REFUSALS, [JSON.stringify(rows)]);
    } catch (error) {
      logger.warn({ error, refusals: rows.reduce((sum, { count }) => sum + count, 0) }, "refusals were not recorded");
    }
  };
  const note = (key: string, refusal: Refusal): void => {
    const alike = noted.get(key);
    if (alike) alike.count += 1;
    else noted.set(key, { ...refusal, refusedAt: new Date(clock.now()), count: 1 });
  };
  return {
    record(refusal) {
      const key = `${refusal.integrationId} ${refusal.reason} ${refusal.remoteAddress}`;
      if (noted.has(key) || noted.size < ROWS_AT_ONCE) note(key, storable(refusal));
      else note(`${refusal.reason} of many`, { ...ANYWHERE, reason: refusal.reason });
      timer ??= setTimeout(() => void flush(), WRITE_EVERY_MS).unref();
    },
    flush,
    [Symbol.asyncDispose]: flush,
  };
}

const ANYWHERE = {
  integrationId: null,
  detail: "from many senders or to many paths at once",
  remoteAddress: null,
  bodyBytes: null,
};

/** Reasons are ours and few; the rest might hold what a stranger sent, which Postgres might not. */
function storable(refusal: Refusal): Refusal {
  const detail = refusal.detail?.slice(0, DETAIL_MAX).replaceAll(/\p{C}/gu, "") ?? null;
  return { ...refusal, detail };
}

export interface RefusalRecord {
  /** ISO 8601; of the first, where several are folded */
  refused_at: string;
  integration_id: string | null;
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
  reason,
  detail,
  remote_address,
  body_bytes,
  count,
}: Row): RefusalRecord {
  return { refused_at: refused_at.toISOString(), integration_id, reason, detail, remote_address, body_bytes, count };
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
