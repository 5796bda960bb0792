/**
 * The shape that every resource file has, in this order: the webhooks that touch it · the kind of subject it belongs
 * to · how it is fetched · its table · its columns (name, type, path) · its events. sync/ and mirror/ know this
 * shape only and no resource by name, so a new resource is a file here, a migration, and a line in index.ts.
 */

/** Webhooks of a type: all codes, only `codes`, or all but `except`. */
export interface Touch {
  type: string;
  codes?: readonly string[];
  except?: readonly string[];
}

/** What webhooks are about and runs work on. Its rows carry its id in `column`. */
export interface SubjectKind {
  kind: string;
  column: string;
  /** what a request is authorised with: the subject's own access token, or the client's credentials alone */
  asks: "access_token" | "client";
  /** whether its runs record events */
  hasEvents: boolean;
}

/** What a request may be made from, besides credentials. */
export interface Asker {
  subjectId: string;
  countryCodes: readonly string[];
  /** days of transactions to initialise an item with; null: Plaid's default */
  daysRequested: number | null;
  includeOriginalDescription: boolean;
}

/** Where the rows are in an answer: an array, or the one object, to which fields beside it may be joined. */
export interface RowsAt {
  at: string;
  /** fields beside `at` that are joined to the object under their own names */
  with?: readonly string[];
}

/** Everything at once: what the answer lacks is gone. */
export interface SnapshotFetch {
  kind: "snapshot";
  endpoint: string;
  body?: (asker: Asker) => Record<string, unknown>;
  rows: readonly RowsAt[];
}

/** Changes since a cursor, in pages; the end of a loop is a consistent state. */
export interface CursorFetch {
  kind: "cursor";
  endpoint: string;
  body?: (asker: Asker) => Record<string, unknown>;
  rows: readonly RowsAt[];
  removals: { at: string; key: string };
  cursor: { sentAs: string; nextAt: string; moreAt: string };
  /**
   * Options of the request that shape rows, as text. An increment leaves older rows in the shape they were read in, so
   * when this differs from the last reading's, everything is read again.
   */
  readWith?: (asker: Asker) => string;
  /** where the answer says how much of the history Plaid has by now, and how it says that this is all of it, or none yet */
  history?: { at: string; complete: string; none: string };
}

/** Other kinds (a date window, an event ledger) join this union; sync/read.ts then does not compile until it knows them. */
export type Fetch = SnapshotFetch | CursorFetch;

export type ColumnType = "text" | "numeric" | "boolean" | "date" | "timestamptz" | "text[]" | "jsonb";

/** A column and the path of its value in the row's object. */
export interface Column {
  name: string;
  type: ColumnType;
  path: readonly string[];
}

/** A field of `update_info`: how many rows there are, some columns of each, or a column of the one. */
export type SummaryField = { count: true } | { list: readonly string[] } | { value: string };

/** Another subject that a column of this resource names, to be fetched when it was never, or not since `staleHours`. */
export interface Reference {
  column: string;
  subject: SubjectKind;
  staleHours: number;
}

/** The row that stands for a subject as a run found it and left it, and the webhooks that the run served. */
export interface Snapshot {
  /** null: it was not there, or has not changed (then neither has `after`) */
  before: Readonly<Record<string, unknown>> | null;
  /** null: it was not read */
  after: Readonly<Record<string, unknown>> | null;
  /** no run had read it before */
  first: boolean;
  webhooks: readonly { type: string | null; code: string | null }[];
  /** Plaid no longer has the subject, and said so by this error */
  gone: { errorCode: string | null } | null;
}

/** Something that happened to a subject: an event's type and data. */
export interface DerivedEvent {
  type: string;
  data: Record<string, unknown>;
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
  table: string;
  /** the field and column that tells rows of a subject apart; null: the one row stands for the subject itself */
  key: string | null;
  columns: readonly Column[];
  /** columns that no answer holds but Tartan knows of the subject */
  given?: readonly ("user_id" | "next_step")[];
  /** products whose `last_successful_update` in the subject's `status` says that Plaid may have newer rows */
  updatedWith?: readonly string[];
  /** where the row that stands for the subject holds a Plaid error although the request succeeded */
  conditionAt?: string;
  /** where that row lists the subject's products */
  productsAt?: readonly string[];
  references?: readonly Reference[];
  summary?: Readonly<Record<string, SummaryField>>;
  /** the type of the events that hold its changed rows */
  event?: string;
  /** what happened to the subject, where the row stands for it */
  derivedEvents?: (snapshot: Snapshot) => DerivedEvent[];
}

const column =
  (type: ColumnType) =>
  (name: string, path = name): Column => ({ name, type, path: path.split(".") });

/** Columns by type; the path is the name unless it is given, with dots into nested objects. */
export const text = column("text");
export const numeric = column("numeric");
export const boolean = column("boolean");
export const date = column("date");
export const timestamptz = column("timestamptz");
export const textList = column("text[]");
export const jsonb = column("jsonb");
