/**
 * The shape that every resource file has, in this order: the webhooks that touch it · the kind of subject it belongs
 * to · how it is fetched · its tables, each with its rows in the answer, its key, its columns (name, type, path) and its
 * event. All else knows this shape only and no resource by name, so a new resource is a file here, a migration, and a line
 * in index.ts.
 */

/** Webhooks of a type: all codes, only `codes`, or all but `except`. */
export interface Touch {
  type: string;
  codes?: readonly string[];
  except?: readonly string[];
}

/**
 * What a request about a subject carries besides the client's credentials:
 * - `access_token`: the token of the item
 * - `id`: the subject's id in the field `as`; where a token of the subject is stored, that in the field `orToken` instead
 * - `token`: a stored token of the subject in the field `as`; `inWebhook`: the field of its webhooks that has the token, where Plaid
 *   sends it with each, so that nobody has to store it; `namedAt`: where answers have the subject's id, so that the token of another one is
 *   noticed
 * - `nothing`: the subject is all that the client has of something, such as its ledger of transfers
 */
export type Access =
  | { by: "access_token" }
  | { by: "id"; as: string; orToken?: string }
  | { by: "token"; as: string; inWebhook?: string; namedAt?: string }
  | { by: "nothing" };

/** What webhooks are about and runs work on. */
export interface SubjectKind {
  kind: string;
  /** the column of its rows that holds its id; null where an integration has one such subject only */
  column: string | null;
  access: Access;
  /** whether its runs record events */
  hasEvents: boolean;
  /**
   * Plaid has data of it from before Tartan knew it, so what its first reading finds is no news. What Plaid names first in the webhook
   * about a change of it, such as a payment, has no such past: its first reading is the news.
   */
  hasPast?: true;
  /**
   * Reconciliation reads what is free of it once in its window, until Tartan has known it for so many days: later Plaid does not change it any
   * more. Absent: not at all.
   */
  reconciledDays?: number;
}

/** What a request may be made from, besides credentials. */
export interface Asker {
  subjectId: string;
  countryCodes: readonly string[];
  /** days of transactions to initialise an item with; null: Plaid's default */
  daysRequested: number | null;
  includeOriginalDescription: boolean;
  /** Plaid's `consumer_report_permissible_purpose` */
  permissiblePurpose: string | null;
}

/**
 * Where rows are in an answer: an array, or the one object. Dots lead into objects, and `[]` into each element of an array:
 * `liabilities.credit`, `accounts[].owners`. Empty: the answer itself is the row, without its `request_id`.
 */
export interface RowsAt {
  at: string;
  /** fields that are joined to the row with a fixed text, such as which of two lists it is from */
  fixed?: Readonly<Record<string, string>>;
  /** a field that is joined to the row: its place in its array, from 1; for rows that Plaid gives no id */
  numbered?: string;
  /** the array around, such as `items[]`, in each element of which `numbered` counts from 1 over all that is inside */
  numberedWithin?: string;
  /** only the element whose field has the subject's id: of the array, or of one around it as in `sessions[].session_id` */
  whose?: string;
  /** fields of the row itself, not paths, that are no part of it, since they are rows of other tables */
  without?: readonly string[];
  /**
   * Fields around the row that are joined to it under their own names: those beside the last name of `at`, such as the id of the
   * account, or of an element of an array further out, as in `items[].item_id`.
   */
  with?: readonly string[];
  /** it is one object, not an array, although the table has a key; where the table has none, it always is */
  one?: true;
  /** Plaid writes null where there are none; elsewhere null is no answer */
  nullable?: true;
  /** Plaid may leave out the place, or anything on the way to it, or write null there, where there are none */
  optional?: true;
}

export interface Request {
  endpoint: string;
  body?: (asker: Asker) => Record<string, unknown>;
}

/** `byId`: Plaid answers it by the subject's id only, so for a subject with a token of its own the answer is an empty object. */
export interface RequestBeside extends Request {
  byId?: true;
}

/** Everything at once: what the answer lacks is gone. */
export interface SnapshotFetch extends Request {
  kind: "snapshot";
  /** more requests for the same rows' tables: the answer of each stands in the first one's under this name */
  and?: Readonly<Record<string, RequestBeside>>;
  /** error codes by which Plaid refuses the first request and says that there are no rows, since no account can have them */
  none?: readonly string[];
}

/** Changes since a cursor, in pages; the end of a loop is a consistent state. */
export interface CursorFetch extends Request {
  kind: "cursor";
  cursor: { sentAs: string; nextAt: string; moreAt: string };
  /**
   * Options of the request that shape rows, as text. An increment leaves older rows in the shape they were read in, so
   * when this differs from the last reading's, everything is read again.
   */
  readWith?: (asker: Asker) => string;
  /** where the answer says how much of the history Plaid has by now, and how it says that this is all of it, or none yet */
  history?: { at: string; complete: string; none: string };
}

/** Events that are only ever added, in pages, each after the number of an event. Nothing is gone by what an answer lacks. */
export interface LedgerFetch extends Request {
  kind: "ledger";
  /** the request's field for the number, the field of a row that holds it, and where the answer says whether a page follows */
  after: { sentAs: string; idAt: string; moreAt: string };
}

/** All rows of the last days, newest first, in pages by offset: what is missing among them is gone, older rows stay. */
export interface WindowFetch extends Request {
  kind: "window";
  /** error codes by which Plaid says that there are no rows, older ones included, since no account can have them */
  none?: readonly string[];
  window: {
    days: number;
    /** the request's fields, with dots into nested objects */
    fromAs: string;
    toAs: string;
    offsetAs: string;
    countAs: string;
    /** rows on a page */
    count: number;
    /** where the answer says how many rows the window has */
    totalAt: string;
    /** the column that holds a row's day */
    column: string;
  };
}

/** Everything at once, in pages that name the next one; what all of them lack is gone. */
export interface ListFetch extends Request {
  kind: "list";
  /** the request's field for the next page, and where the answer has it; null or absent there: it was the last page */
  next: { sentAs: string; at: string };
}

/** sync/ does not compile until it knows each kind. */
export type Fetch = SnapshotFetch | CursorFetch | LedgerFetch | WindowFetch | ListFetch;

export type ColumnType = "text" | "numeric" | "boolean" | "date" | "timestamptz" | "text[]" | "jsonb";

/** The types that can hold a masked value; a number, a day or a time is null while its field is masked. */
export const MASKABLE: ReadonlySet<ColumnType> = new Set(["text", "text[]", "jsonb"]);

/** A column and the path of its value in the row's object. */
export interface Column {
  name: string;
  type: ColumnType;
  path: readonly string[];
  /** Plaid writes the number as text */
  asText?: true;
}

/** A field of `update_info`: how many rows there are, some columns of each, or a column of the one. */
export type SummaryField = { count: true } | { list: readonly string[] } | { value: string };

/**
 * Another subject that a column of this resource names (a list of texts names several), to be fetched when it was never, or not since `staleHours`; or, where that
 * is `changed`, whenever a row that names it was added or modified.
 */
export interface Reference {
  column: string;
  subject: SubjectKind;
  staleHours: number | "changed";
}

/** The row that stands for a subject as a run found it and left it, and the webhooks that the run served. */
export interface Snapshot {
  /** null: it was not there, or has not changed (then neither has `after`) */
  before: Readonly<Record<string, unknown>> | null;
  /** null: it was not read */
  after: Readonly<Record<string, unknown>> | null;
  /** no run had read it before */
  first: boolean;
  webhooks: readonly {
    type: string | null;
    code: string | null;
    /** where `announcedBy` of the resource names the webhook, and its body is an object of 16 KiB at most */
    body?: Readonly<Record<string, unknown>> | undefined;
  }[];
  /** Plaid no longer has the subject, and said so by this error */
  gone: { errorCode: string | null } | null;
}

/** Something that happened to a subject: an event's type and data. */
export interface DerivedEvent {
  type: string;
  data: Record<string, unknown>;
}

/** The event of a run's changed rows; its type is `<table>.changed`. */
export interface ChangeEvent {
  /** what the rows are, in the plural, such as `transactions`; it stands in sentences */
  rows: string;
  /** a row as Plaid has it, for the documentation */
  example: Readonly<Record<string, unknown>>;
}

/** A table of schema plaid, and what of an answer is in it. A table belongs to one resource. */
export interface Table {
  name: string;
  /** what one row is, such as `a transaction, pending or posted` */
  row: string;
  /** where its rows are; of a row that several places hold, the last one counts */
  rows: readonly RowsAt[];
  /** where an increment names removed rows, by the fields of their key */
  removals?: string;
  /**
   * Fields, by their paths, that the mirror and the events hold masked unless the integration reveals the resource: `last4` keeps the
   * last four characters, of a short text two, `hidden` none. A path leads through arrays, and every text below its end is masked. `token` is
   * always masked: Tartan shows no token.
   */
  sensitive?: Readonly<Record<string, "last4" | "hidden" | "token">>;
  /**
   * Few rows have such a field, and there are many rows: each is asked for it first, which costs a tenth of masking it. Only for fields
   * that stand where Plaid's document has them.
   */
  rarelySensitive?: true;
  /** the fields and columns that tell rows of a subject apart; none: the one row stands for the subject itself */
  key: readonly string[];
  columns: readonly Column[];
  /** columns that no answer holds but Tartan knows of the subject */
  given?: readonly ("user_id" | "next_step")[];
  references?: readonly Reference[];
  summary?: Readonly<Record<string, SummaryField>>;
  event?: ChangeEvent;
  /** a single item is shown with the number of these rows, under the table's name; other counts are in its `resources` */
  countShown?: true;
}

export interface Resource {
  name: string;
  touchedBy: readonly Touch[];
  /** webhooks after which increments cannot be trusted: everything is read again */
  rereadAfter?: readonly Touch[];
  subject: SubjectKind;
  /** asked for only where the subject has one of these products, since asking could add (and bill) it */
  products?: readonly string[];
  fetch: Fetch;
  /**
   * Plaid bills requests for it, so it is requested only where the integration enables the resource by name. `each`: for every
   * request, so it is also requested only by name, never as one of all.
   */
  billed?: "each" | "once";
  /** a setting of the integration without which Plaid refuses the request, so it cannot be enabled without it */
  needs?: "consumer_report_permissible_purpose";
  /**
   * Products whose `last_successful_update` in the subject's `status` says that Plaid may have newer rows; `unknown`: Plaid says it
   * nowhere, so each check of reconciliation reads the resource.
   */
  updatedWith?: readonly string[] | "unknown";
  tables: readonly [Table, ...Table[]];
  /** where the row that stands for the subject holds a Plaid error although the request succeeded */
  conditionAt?: string;
  /** where that row lists the subject's products */
  productsAt?: readonly string[];
  /** webhooks that say what no answer of Plaid's has, so that `derivedEvents` gets their bodies */
  announcedBy?: readonly Touch[];
  /** what happened to the subject, where a row stands for it */
  derivedEvents?: (snapshot: Snapshot) => DerivedEvent[];
}

const column =
  (type: ColumnType) =>
  (name: string, path = name): Column => ({ name, type, path: path.split(".") });

/** Columns by type; the path is the name unless it is given, with dots into nested objects. */
export const text = column("text");
export const numeric = column("numeric");
/** A number that Plaid writes as text, such as the amount of a transfer. */
export const decimal = (name: string, path?: string): Column => ({ ...numeric(name, path), asText: true });
export const boolean = column("boolean");
export const date = column("date");
export const timestamptz = column("timestamptz");
export const textList = column("text[]");
export const jsonb = column("jsonb");
