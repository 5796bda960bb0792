/**
 * Takes the changes out of an event. The text of a row is cut out of the event's text and never written anew, so its numbers are Plaid's
 * to the last digit; only its key is read.
 */
import { toEventId } from "../../model/ids.ts";
import { jsonTokens } from "../../model/exact-json.ts";
import { fedTable, type FedTable } from "./change-tables.ts";
import type { EventSource } from "../model/types.ts";

/** The events that may say that rows were erased, with the account whose rows they were; null: all rows; undefined: none was. */
const ERASED: Readonly<Record<string, (data: Envelope["data"]) => string | null | undefined>> = {
  "item.removed": ({ reason }) => (reason === "erased" ? null : undefined),
  "item.data_erased": ({ account_id }) => account_id ?? null,
  "subject.erased": () => null,
};
export const ERASURES: readonly string[] = Object.keys(ERASED);

const LISTS = ["added", "modified", "removed"] as const;
type List = (typeof LISTS)[number];

interface Envelope {
  subject?: { kind: string; id: string };
  data: { run_id: string; reason?: string; account_id?: string | null } & Record<
    List,
    readonly Record<string, unknown>[]
  >;
}

/**
 * The changes of an event as JSON texts, in its order. Where an item, an account or another subject was erased there is one change: it stands for
 * all its rows in all tables, whose keys are gone with them.
 */
export function changesOf(source: EventSource): string[] {
  const text = source.bytes.toString("utf8");
  const { subject, data } = JSON.parse(text) as Envelope;
  const table = fedTable(source.type);
  if (!table) {
    const account = ERASED[source.type]?.(data);
    const head = `${headOf(source, subject)},"account_id":${JSON.stringify(account)}`;
    return account === undefined ? [] : [changeOf(head, { change: "erased" })];
  }
  const head = `${headOf(source, subject)},"run_id":${JSON.stringify(data.run_id)}`;
  const subjectId = source.itemId ?? subject?.id ?? null;
  const places = rowsIn(text);
  return LISTS.flatMap((change) =>
    data[change].map((row, n) => {
      const [start, end] = places[change][n] ?? [0, 0];
      const key = JSON.stringify(keyOf(table, row, subjectId));
      return changeOf(head, { change, table: table.name, key, row: text.slice(start, end) });
    }),
  );
}

/** What all changes of an event share, as an object without its end. */
function headOf({ id, integrationId, itemId, userId, history, occurredAt }: EventSource, subject?: object): string {
  const head = {
    event_id: toEventId(id),
    occurred_at: occurredAt.toISOString(),
    integration_id: integrationId,
    item_id: itemId,
    user_id: userId,
    ...(subject && { subject }),
    history,
  };
  return JSON.stringify(head).slice(0, -1);
}

interface Rest {
  change: List | "erased";
  table?: string;
  /** JSON texts */
  key?: string;
  row?: string;
}

const changeOf = (head: string, { change, table, key = "null", row = "null" }: Rest): string =>
  `${head},"change":"${change}","resource":${table === undefined ? "null" : JSON.stringify(table)},"key":${key},"row":${row}}`;

/** The columns of a key are texts. */
function keyOf({ subject, key }: FedTable, row: Record<string, unknown>, subjectId: string | null): object {
  const own = subject === null ? [] : [[subject, subjectId]];
  return Object.fromEntries([...own, ...key.map((name) => [name, String(row[name])])]) as object;
}

type Places = Record<List, [start: number, end: number][]>;

/** Around the names of the lists, and around each row of a list, so many objects and arrays are open. */
const LIST_DEPTH = 2;
const ROW_DEPTH = 3;

/** Where the rows of each list begin and end. */
function rowsIn(text: string): Places {
  const places: Places = { added: [], modified: [], removed: [] };
  let list: List | undefined;
  let from = 0;
  for (const { kind, start, end, depth } of jsonTokens(text)) {
    if (kind === "name" && depth === LIST_DEPTH) {
      const name = text.slice(start + 1, end - 1);
      list = LISTS.find((each) => each === name);
      from = end;
    } else if (kind === "close" && depth === ROW_DEPTH && list !== undefined) {
      places[list].push([text.indexOf("{", from), end]);
      from = end;
    }
  }
  return places;
}
