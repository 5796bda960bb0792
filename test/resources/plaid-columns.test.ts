/**
 * The columns of every table against what Plaid says of the fields they come from, and the other way round: what Plaid has of a row is in
 * a column, or stands in the list of what is left to `raw`. And what Plaid's names say is sensitive is masked.
 */
import { describe, expect, it } from "vitest";
import { requestsOf, RESOURCES } from "../../src/resources/index.ts";
import type { Column, ColumnType, Resource, RowsAt, Table } from "../../src/resources/types.ts";
import { openPlaidFields, type Field } from "../support/plaid-fields.ts";
import { isMaskedIn } from "../support/masking.ts";
import { isSensitiveName, NOT_SENSITIVE } from "./sensitive-names.ts";
import { DROPPED } from "./dropped.ts";
import { LEFT_EVERYWHERE, LEFT_TO_RAW, LOOSE_KEYS } from "./left-to-raw.ts";

const plaid = openPlaidFields();

type Fields = ReadonlyMap<string, Field>;

const TEXT: Field = {
  types: new Set(["string"]),
  format: null,
  description: "",
  deprecated: false,
  fields: new Map(),
  required: new Set(),
  element: null,
};
const NUMBER: Field = { ...TEXT, types: new Set(["integer"]) };

/** A row at one place of the answer, what is around it, and the answer. */
function rowAt({ fetch }: Resource, place: RowsAt): { row: Field; around: Field; answer: Field } {
  const { first, beside } = requestsOf(fetch);
  const steps = place.at === "" ? [] : place.at.split(".");
  const other = beside.find(([name]) => name === steps[0]?.replace("[]", ""));
  const answer = answerOf((other?.[1] ?? first).endpoint);
  let around = answer;
  for (const step of other ? steps.slice(1, -1) : steps.slice(0, -1)) around = inside(around, step.replace("[]", ""));
  const last = steps.at(-1)?.replace("[]", "");
  const row = last === undefined || (other && steps.length === 1) ? around : inside(around, last);
  return { row, around, answer };
}

/** The fields of the rows at one place of the answer, with what is joined to them. */
function rowFields(resource: Resource, place: RowsAt): { fields: Fields; required: ReadonlySet<string> } {
  const { row, around, answer } = rowAt(resource, place);
  const left = new Set([...(place.without ?? []), ...(place.at === "" ? ["request_id"] : [])]);
  const fields = new Map([...row.fields].filter(([name]) => !left.has(name)));
  const joined = (place.with ?? []).map((path) => {
    // From an element further out: its path begins at the answer.
    const way = path.split(".").map((step) => step.replace("[]", ""));
    const [beside, name = ""] = [way.length > 1 ? way.slice(0, -1).reduce(inside, answer) : around, way.at(-1)];
    fields.set(name, beside.fields.get(name) ?? missing(name));
    return name;
  });
  const fixed = Object.keys(place.fixed ?? {});
  for (const name of fixed) fields.set(name, TEXT);
  if (place.numbered !== undefined) fields.set(place.numbered, NUMBER);
  return { fields, required: new Set([...row.required, ...joined, ...fixed, place.numbered ?? ""]) };
}

function answerOf(endpoint: string): Field {
  const answer = plaid.answerOf(endpoint);
  if (!answer) throw new Error(`Plaid has no ${endpoint}`);
  return answer;
}

/** The field of this name, or its elements where it is an array. */
function inside(around: Field, name: string): Field {
  const found = around.fields.get(name) ?? missing(name);
  return found.element ?? found;
}

function missing(name: string): never {
  throw new Error(`Plaid's answer has no ${name}`);
}

/** The field at a path into objects; null: Plaid has none. */
function fieldAt(fields: Fields, [name = "", ...deeper]: readonly string[]): Field | null {
  const field = fields.get(name);
  if (!field || deeper.length === 0) return field ?? null;
  return fieldAt(field.fields, deeper);
}

const isOf = (field: Field, ...types: string[]): boolean => types.some((type) => field.types.has(type));
const isDated = ({ format, description }: Field): boolean =>
  format !== null || description === null || /ISO.?8601|YYYY-MM-DD/.test(description);

/** Whether a column of this type holds what Plaid sends in the field. */
const FITS: Record<ColumnType, (field: Field, column: Column) => boolean> = {
  text: (field) => isOf(field, "string") && field.element === null,
  numeric: (field, { asText }) => (asText ? isOf(field, "string") : isOf(field, "number", "integer")),
  boolean: (field) => isOf(field, "boolean"),
  // Only the document has formats, and not of all its texts.
  date: (field) => isOf(field, "string") && (field.format ?? "date") === "date" && isDated(field),
  timestamptz: (field) => isOf(field, "string") && (field.format ?? "date-time") === "date-time" && isDated(field),
  "text[]": (field) => field.element !== null && isOf(field.element, "string"),
  jsonb: (field) => field.element !== null || isOf(field, "object") || field.fields.size > 0 || field.types.size === 0,
};

/** A text that Plaid's document says is a day or a time, in a column of texts. */
const isDatedText = (table: Table, column: Column, field: Field): boolean =>
  column.type === "text" &&
  // A date cannot hold a mask.
  !isMaskedIn(table, column.path) &&
  (field.format === "date" || field.format === "date-time");

/** What is wrong with a column; the rows of one place at least have its field. */
function faultOf(table: Table, column: Column, places: readonly Fields[]): string | null {
  const found = places.flatMap((fields) => fieldAt(fields, column.path) ?? []);
  const [field] = found;
  if (!field) return `${column.name}: Plaid's rows have no ${column.path.join(".")}`;
  const misfit = found.find((each) => !FITS[column.type](each, column) || isDatedText(table, column, each));
  if (misfit) return `${column.name} is ${column.type}, Plaid sends ${[...misfit.types]} ${misfit.format ?? ""}`;
  return null;
}

/** The paths of all values of a row, arrays as one value; not what a column holds as a whole. */
function pathsOf(fields: Fields, whole: ReadonlySet<string>, before = ""): string[] {
  return [...fields].flatMap(([name, field]) => {
    const here = before + name;
    if (field.deprecated || whole.has(here)) return [];
    return field.fields.size > 0 && field.element === null ? pathsOf(field.fields, whole, `${here}.`) : [here];
  });
}

const plain = (path: string): string => path.replaceAll("[]", "");

/** The paths of all values in a field, those of arrays' elements too. */
function leavesOf(field: Field, path: string): string[] {
  if (field.deprecated) return [];
  const { fields } = field.element ?? field;
  return fields.size === 0 ? [path] : [...fields].flatMap(([name, each]) => leavesOf(each, `${path}.${name}`));
}

/** The paths of the answer that are rows of a place or joined to them. */
function heldAt({ at, with: around = [] }: RowsAt): string[] {
  const beside = plain(at).split(".").slice(0, -1);
  return [at, ...around.map((field) => (field.includes(".") ? field : [...beside, field].join(".")))].map(plain);
}

/** What rows are without and no other row of the resource has, by the path in the answer. */
function droppedBy(resource: Resource, { rows }: Table): string[] {
  const held = resource.tables.flatMap((table) => table.rows).flatMap(heldAt);
  return rows.flatMap((place) => {
    const { row } = rowAt(resource, place);
    return (place.without ?? [])
      .filter((name) => name !== "request_id" && name !== resource.subject.column)
      .flatMap((name) => {
        const path = plain(place.at === "" ? name : `${place.at}.${name}`);
        // What an outer row holds is asked about there.
        const inner = held.filter((each) => isLeft(each, [path]));
        return leavesOf(row.fields.get(name) ?? missing(name), path).filter((leaf) => !isLeft(leaf, inner));
      });
  });
}

function columnsAndKeys(table: Table, { subject }: Resource): Set<string> {
  const columns = table.columns.map(({ path }) => path.join("."));
  // Plaid's plain `id` is the column of the subject.
  const own = subject.column === null ? [] : [subject.column, "id"];
  return new Set([...columns, ...table.key, ...own]);
}

const isLeft = (path: string, left: readonly string[]): boolean =>
  left.some((each) => path === each || path.startsWith(`${each}.`));

for (const resource of RESOURCES) {
  describe(resource.name, () => {
    it.each(resource.tables)("$name: each column has a field of Plaid's whose values it can hold", (table) => {
      const places = table.rows.map((place) => rowFields(resource, place));
      const wrong = table.columns.flatMap(
        (column) =>
          faultOf(
            table,
            column,
            places.map(({ fields }) => fields),
          ) ?? [],
      );
      for (const key of table.key)
        for (const { fields, required } of places) {
          if (!fields.has(key)) wrong.push(`${key} is part of the key, and Plaid's rows have no such field`);
          else if (!required.has(key) && !(table.name in LOOSE_KEYS))
            wrong.push(`${key} is part of the key, and Plaid may leave it out`);
        }
      expect(wrong).toEqual([]);
    });

    it.each(resource.tables)("$name: what Plaid has of a row is in a column, or left to raw for a reason", (table) => {
      const known = columnsAndKeys(table, resource);
      const paths = [...new Set(table.rows.flatMap((place) => pathsOf(rowFields(resource, place).fields, known)))];
      const left = Object.keys(LEFT_TO_RAW[table.name] ?? {});
      expect(
        paths.filter((path) => !isLeft(path, left) && !((path.split(".").at(-1) ?? "") in LEFT_EVERYWHERE)),
        "neither a column nor left to raw",
      ).toEqual([]);
      expect(
        left.filter((each) => !paths.some((path) => isLeft(path, [each]))),
        "no longer left to raw",
      ).toEqual([]);
    });

    it.each(resource.tables)(
      "$name: what its rows are without, other rows have, or it is dropped for a reason",
      (table) => {
        const dropped = droppedBy(resource, table).filter(
          (path) => !((path.split(".").at(-1) ?? "") in LEFT_EVERYWHERE),
        );
        const known = Object.keys(DROPPED[table.name] ?? {});
        expect(
          dropped.filter((path) => !isLeft(path, known)),
          "in no row",
        ).toEqual([]);
        expect(
          known.filter((each) => !dropped.some((path) => isLeft(path, [each]))),
          "no longer dropped",
        ).toEqual([]);
      },
    );
  });
}

/** Deeper fields repeat those above them. */
const DEEPEST = 10;

/** The paths of all texts and numbers of a row, through objects and arrays. */
function valuesOf(fields: Fields, before: readonly string[] = []): string[][] {
  return [...fields].flatMap(([name, field]) => {
    const here = [...before, name];
    const inner = innermost(field);
    if (inner.fields.size > 0 && here.length < DEEPEST) return valuesOf(inner.fields, here);
    return inner.types.size === 0 || isOf(inner, "string", "number", "integer") ? [here] : [];
  });
}

const innermost = (field: Field): Field => (field.element ? innermost(field.element) : field);

it("every field of Plaid's and every column whose name says that it is a number of an account, a tax id, a person's or a token is masked, or is not for a reason", () => {
  const wrong: string[] = [];
  const excepted = new Set<string>();
  for (const resource of RESOURCES)
    for (const table of resource.tables) {
      const values = table.rows.flatMap((place) => valuesOf(rowFields(resource, place).fields));
      for (const path of [...values, ...table.columns.map((column) => column.path)]) {
        if (!isSensitiveName(path) || isMaskedIn(table, path)) continue;
        const names = [path.join("."), `${table.name}: ${path.join(".")}`];
        const found = names.filter((name) => name in NOT_SENSITIVE);
        for (const name of found) excepted.add(name);
        if (found.length === 0) wrong.push(`${table.name}: ${path.join(".")}`);
      }
    }
  expect(wrong, "neither masked nor excepted").toEqual([]);
  expect(
    Object.keys(NOT_SENSITIVE).filter((name) => !excepted.has(name)),
    "excepted, and there is no such field, or it is masked",
  ).toEqual([]);
});
