/** Items as users see them: their link, their sync status, and their errors. */
import type { Queryable } from "../database/types.ts";
import { shownCounts } from "../mirror/apply.ts";
import { fromKeyCursor, toKeyCursor } from "../model/cursors.ts";
import { checkedFilter } from "../model/listing.ts";
import { GET_ITEM, GET_NEVER_LINKED, LIST_ITEMS, LIST_ITEMS_IN, LIST_NOTICED } from "./item-queries.ts";
import { ItemFilter } from "./item.schema.ts";
import {
  showNotice,
  storyOf,
  type InstitutionHealth,
  type ShownNotice,
  type StoredHealth,
  type StoredNotice,
} from "./story.ts";
import type { Status } from "./types.ts";

/** An item as it may be shown; instants are ISO 8601. */
export interface ItemState {
  item_id: string;
  integration_id: string;
  user_id: string | null;
  institution_id: string | null;
  institution_name: string | null;
  status: Status;
  /** what the status means, in plain words */
  status_message: string;
  /** since when it has it; null where that is not known */
  status_since: string | null;
  /** what its user must do or know while its data still flows, the oldest first */
  notices: ShownNotice[];
  /** Plaid's, such as ITEM_LOGIN_REQUIRED, or Tartan's own */
  error_code: string | null;
  /** what is wrong, in plain words */
  error_message: string | null;
  /** what to do about the error or the status; null also where it goes away by itself */
  next_step: string | null;
  /** what Plaid says of the institution, where the error is the institution's */
  institution_health: InstitutionHealth | null;
  products: string[] | null;
  /** null where no token has come yet */
  linked_at: string | null;
  verified_at: string | null;
  /** whether a sync waits or runs */
  due: boolean;
  last_error: Record<string, unknown> | null;
  /** when reconciliation last checked it */
  checked_at: string | null;
  /** when it checks it next; null where that is not planned */
  next_check_at: string | null;
  /** where Plaid sends the item's webhooks, if /item/get was read */
  webhook_url: string | null;
  /** whether that is the integration's intake; null where the URL is not known */
  webhook_url_is_intake: boolean | null;
}

/** An item, and how many rows Plaid has in the tables that are counted for it. */
export interface CountedItem extends ItemState {
  counts: Readonly<Record<string, number>>;
}

type Instant = "status_since" | "linked_at" | "verified_at" | "checked_at" | "next_check_at";
type Made =
  | Instant
  | "status_message"
  | "notices"
  | "institution_health"
  | "webhook_url_is_intake"
  | "error_message"
  | "next_step";
interface Found {
  error_type: string | null;
  error_reason: string | null;
  notices: readonly StoredNotice[];
  institution: StoredHealth | null;
}
type Row = Omit<ItemState, Made> & Record<Instant, Date | null> & Found;

const publicShape = ({ error_type, error_reason, institution, ...row }: Row): ItemState => ({
  ...row,
  ...storyOf({ ...row, error_type, error_reason, institution }),
  status_since: row.status_since?.toISOString() ?? null,
  notices: row.notices.map((notice) => showNotice(notice)),
  linked_at: row.linked_at?.toISOString() ?? null,
  verified_at: row.verified_at?.toISOString() ?? null,
  checked_at: row.checked_at?.toISOString() ?? null,
  next_check_at: row.next_check_at?.toISOString() ?? null,
  webhook_url_is_intake: row.webhook_url === null ? null : isIntake(row.webhook_url, row.integration_id),
});

/** Compares only the path: the intake may have several host names. */
export const isIntake = (url: string, integrationId: string): boolean =>
  URL.canParse(url) &&
  INTAKE_PATHS.some((path) => new URL(url).pathname.replace(/\/+$/, "").endsWith(`${path}/${integrationId}`));
const INTAKE_PATHS = ["/v1/integrations", "/v1/service_integrations"];

/**
 * A page of items, by item id.
 * @throws TartanError `invalid_request` for an unknown status, or a cursor that is not of this list
 */
export async function listItems(
  q: Queryable,
  filter: ItemFilter,
): Promise<{ data: ItemState[]; next_cursor: string | null }> {
  const { integration_id, user_id, status, notice, limit: size, cursor } = checkedFilter(ItemFilter, filter);
  const after = cursor === undefined ? ["", ""] : fromKeyCursor("items", cursor);
  const matching = [integration_id ?? null, user_id ?? null, status ?? null];
  const place = [...after, size + 1];
  const isRare = status !== undefined && status !== "ok" && user_id === undefined;
  const { rows } = await (notice !== undefined
    ? q.query<Row>(LIST_NOTICED, [...matching, ...place, notice])
    : isRare
      ? q.query<Row>(LIST_ITEMS_IN, [integration_id ?? null, status, ...place])
      : q.query<Row>(LIST_ITEMS, [...matching, ...place]));
  const data = rows.slice(0, size).map(publicShape);
  const last = data.at(-1);
  const more = last && rows.length > size;
  return { data, next_cursor: more ? toKeyCursor("items", [last.item_id, last.integration_id]) : null };
}

/** One item with its row counts; if several integrations link it, the one linked last unless one is named. */
export async function getItem(q: Queryable, itemId: string, integrationId?: string): Promise<CountedItem | null> {
  const [row] = (await q.query<Row>(GET_ITEM, [itemId, integrationId ?? null])).rows;
  if (row) return { ...publicShape(row), counts: await shownCounts(q, row.integration_id, itemId) };
  const never = await q.query<Row>(GET_NEVER_LINKED, [itemId, integrationId ?? null]);
  return never.rows[0] ? { ...publicShape(never.rows[0]), counts: {} } : null;
}
