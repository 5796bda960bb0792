/**
 * What a run hands to the mirror, and what it gets back.
 */
import type { Resource } from "../resources/types.ts";

/** Whose rows they are, and who may write them: the holder of the lease. */
export interface Scope {
  integrationId: string;
  kind: string;
  subjectId: string;
  leaseToken: string;
  /** what Tartan knows of the subject and Plaid does not say */
  facts: { user_id: string | null; next_step?: string | null };
  /** the resources whose rows are written unmasked; none where it is absent */
  revealed?: readonly string[];
}

/** Another subject that rows lead to. */
export interface Subject {
  kind: string;
  id: string;
}

/** A page of an answer: Plaid's text itself, or null where it is staged under its number. */
export interface Page {
  text: string | null;
  /** whether it holds rows, and removals; where not, that statement is spared */
  rows: boolean;
  removals: boolean;
}

/** All that was read of one resource: pages in their order, numbered from 0. */
export interface Reading {
  resource: Resource;
  pages: readonly Page[];
  /** it was read from the start, so what it lacks is gone */
  whole: boolean;
  /** of the rows whose day, in this column, is from the one to the other (ISO 8601); absent: of all rows */
  within?: { column: string; from: string; to: string };
  /** for a full check: how its rows are compared with the mirror's before they are applied */
  compare?: Compare;
}

/** How a reading is compared with the mirror. */
export interface Compare {
  /** the keys of rows, by table, that changed at Plaid since the mirror's state: that they differ is news and no fault */
  since: ReadonlyMap<string, ReadonlySet<string>>;
  /** any row may have changed at Plaid since it was read */
  mayBeNew: boolean;
  /** fields of the row that always move */
  ignored: ReadonlySet<string>;
}

/** What a comparison found in one table. */
export interface Compared {
  /** rows of Plaid's that were compared */
  rows: number;
  /** rows that differ although Plaid did not change them */
  wrong: number;
  /** rows that differ and that Plaid may have changed since they were read */
  mayBeNew: number;
  /** the first of them */
  named: readonly DifferingRow[];
}

export interface DifferingRow {
  table: string;
  /** of several fields a JSON array */
  key: string;
  /** `missing`: the mirror lacks it; `surplus`: Plaid does not have it; `differs`: the columns do */
  difference: "missing" | "surplus" | "differs";
  mayBeNew: boolean;
  columns: readonly DifferingColumn[];
}

/** A column, or `raw.` and a field that has none, with both values as the mirror masks them. */
export interface DifferingColumn {
  column: string;
  mirror: unknown;
  plaid: unknown;
}

/** Rows that a run added, modified and removed, as one step from before it to after it. */
export interface Changes {
  added: number;
  modified: number;
  removed: number;
}

/** A field whose values do not all fit its column; see values.ts. */
export interface Unfit {
  resource: string;
  table: string;
  field: string;
  expected: string;
  found: string;
  /** not noted for the subject before */
  new: boolean;
}

/** What applying a reading, or removing everything, has come to in one table. */
export interface Applied {
  changes: Changes;
  /** of the rows that were touched, some perhaps twice; null: too many to name */
  keys: readonly string[] | null;
  /** bytes of the rows that were touched, in the measure of an event's parts, rather too many; Infinity: not known */
  bytes: number;
  /** the row that stands for the subject as it was, when it was there and has changed */
  before: Record<string, unknown> | null;
  /** where the reading was compared */
  compared?: Compared;
}
