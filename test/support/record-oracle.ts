/**
 * The oracle for what belongs to no item: what the simulator knows to be true of a record, such as a user or a payment, against what the
 * mirror holds, row for row and column for column. Rows are worked out here from the answers, place by place, and not as the mirror does.
 */
import { expect } from "vitest";
import type { Database } from "../../src/database/types.ts";
import { nameOf, tablesOf, type Mirrored } from "../../src/mirror/rows.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import type { RowsAt, Table } from "../../src/resources/types.ts";
import type { RecordKind, Simulator } from "../../src/simulator/index.ts";
import { maskedAsDeclared } from "./masking.ts";
import { differences } from "./oracle.ts";

type Part = Record<string, unknown>;

/**
 * Expects each table of the kind to hold exactly the record's rows. A resource that the truth has nothing of must have none.
 * @param except resources that are not read, since they are billed
 */
export async function expectRecordEqualsTruth(
  database: Database,
  { control }: Simulator,
  kind: RecordKind,
  id: string,
  except: readonly string[] = [],
): Promise<void> {
  const { truth } = control.records.get(kind, id);
  for (const of of resourcesOf(kind).flatMap(tablesOf)) {
    if (except.includes(of.resource.name)) continue;
    const rows = rowsOfTable(truth[of.resource.name] as Part | undefined, of, id);
    expect(await differences(database, of, id, JSON.stringify(rows)), `${nameOf(of)} of ${id}`).toEqual([]);
  }
}

function rowsOfTable(answer: Part | undefined, { table }: Mirrored, id: string): unknown[] {
  if (answer === undefined) return [];
  const rows = table.rows.flatMap((place) => rowsAt(answer, place, table, id));
  return rows.map((row) => maskedAsDeclared(table, row));
}

/** A value on the way to the rows, with what is around it, the outermost first. */
interface Found {
  value: unknown;
  around: readonly { path: string; value: Part }[];
}

function rowsAt(answer: Part, place: RowsAt, { key }: Table, id: string): Part[] {
  if (place.at === "") return [without(answer, place)];
  let found: Found[] = [{ value: answer, around: [{ path: "", value: answer }] }];
  let path = "";
  for (const step of place.at.split(".")) {
    path = path === "" ? step : `${path}.${step}`;
    found = found.flatMap((each) => stepInto(each, step, path));
  }
  const isOne = place.one === true || (key.length === 0 && place.whose === undefined);
  const rows = isOne ? found.filter(({ value }) => value !== null) : found.flatMap(elementsOf);
  const mine = place.whose === undefined ? rows : rows.filter((row) => fieldAround(row, place.whose ?? "") === id);
  const counts = new Map<unknown, number>();
  return mine.map((row) => {
    const within = row.around.find((each) => each.path === place.numberedWithin)?.value ?? row.around.at(-1)?.value;
    counts.set(within, (counts.get(within) ?? 0) + 1);
    return {
      ...without(row.value as Part, place),
      ...joinedTo(row, place),
      ...place.fixed,
      ...(place.numbered === undefined ? {} : { [place.numbered]: counts.get(within) }),
    };
  });
}

function stepInto({ value, around }: Found, step: string, path: string): Found[] {
  const inner = (value as Part)[step.replace("[]", "")] ?? null;
  if (!step.endsWith("[]")) return [{ value: inner, around: withInner(around, inner, path) }];
  return ((inner ?? []) as Part[]).map((each) => ({ value: each, around: [...around, { path, value: each }] }));
}

/** An object that leads to the rows is around them too. */
const withInner = (around: Found["around"], inner: unknown, path: string): Found["around"] =>
  typeof inner === "object" && inner !== null && !Array.isArray(inner)
    ? [...around, { path, value: inner as Part }]
    : around;

const elementsOf = ({ value, around }: Found): Found[] =>
  ((value ?? []) as Part[]).map((each) => ({ value: each, around }));

/** A field of the row, or, where the name has a path, of what is at that path around it. */
function fieldAround({ value, around }: Found, field: string): unknown {
  const end = field.lastIndexOf(".");
  const of = end < 0 ? (value as Part) : around.find(({ path }) => path === field.slice(0, end))?.value;
  return of?.[field.slice(end + 1)];
}

function joinedTo(row: Found, place: RowsAt): Part {
  // What is beside the row is in the innermost object around its array; of the one object, around itself.
  const beside = row.around.findLast(({ value }) => value !== row.value)?.value ?? {};
  return Object.fromEntries(
    (place.with ?? []).map((field) => {
      const name = field.slice(field.lastIndexOf(".") + 1);
      return [name, (field.includes(".") ? fieldAround(row, field) : beside[name]) ?? null];
    }),
  );
}

const without = (row: Part, { without: left = [] }: RowsAt): Part =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !left.includes(name) && name !== "request_id"));
