/** The tables of the mirror that have changes, those that have none, and the key of the rows of each. */
import { TartanError } from "../../errors.ts";
import { changeType, RESOURCES } from "../../resources/index.ts";
import { didYouMean } from "../../suggest.ts";

/** A table that has changes. */
export interface FedTable {
  name: string;
  /** the type of its events */
  type: string;
  /** the column with the id of the item or other subject; null where an integration has one such subject only */
  subject: string | null;
  /** the fields of a row, and columns, that tell rows of a subject apart */
  key: readonly string[];
}

/** In the order in which a run applies them. */
export const FED_TABLES: readonly FedTable[] = RESOURCES.flatMap((resource) =>
  resource.tables.flatMap((table) =>
    table.event
      ? [{ name: table.name, type: changeType(table), subject: resource.subject.column, key: table.key }]
      : [],
  ),
);

const BY_TYPE = new Map(FED_TABLES.map((table) => [table.type, table]));
const NAMES = FED_TABLES.map(({ name }) => name);

export const fedTable = (type: string): FedTable | undefined => BY_TYPE.get(type);

const OF_ITEMS =
  "the events item.linked, item.updated, item.error, item.repaired and item.removed say what happens to an item";
const OF_INSTITUTIONS = "Tartan reads an institution again from time to time, without news of it";

/** Why a table has no changes, and what to use instead; undefined where it has changes, or where there is no such table. */
export function unfedBecause(name: string): string | undefined {
  const resource = RESOURCES.find(({ tables }) => tables.some((table) => table.name === name));
  if (!resource || NAMES.includes(name)) return undefined;
  const beside = resource.tables.filter(({ event }) => event).map((table) => table.name);
  if (beside.length > 0)
    return `its rows are read together with those of ${beside.join(", ")}; use the changes of these`;
  return resource.subject.kind === "item" ? OF_ITEMS : OF_INSTITUTIONS;
}

/** All tables of the mirror, as the API lists them. */
export const CHANGE_TABLES: readonly {
  resource: string;
  key: string[];
  /** the type of its events */
  event: string | null;
  not_fed: string | null;
}[] = RESOURCES.flatMap((resource) =>
  resource.tables.map((table) => ({
    resource: table.name,
    key: [...(resource.subject.column === null ? [] : [resource.subject.column]), ...table.key],
    event: table.event ? changeType(table) : null,
    not_fed: unfedBecause(table.name) ?? null,
  })),
);

/**
 * The types of the events with the changed rows of these tables; of all, where none is named.
 * @throws TartanError `invalid_request` for a table that has no changes
 */
export function typesOf(names: readonly string[] | undefined): string[] {
  if (names === undefined) return FED_TABLES.map(({ type }) => type);
  return names.map((name) => {
    const table = FED_TABLES.find((each) => each.name === name);
    if (!table) throw notFed(name);
    return table.type;
  });
}

function notFed(name: string): TartanError {
  const because = unfedBecause(name);
  if (because === undefined) {
    const resource = "must be a table of the mirror, such as transactions" + didYouMean(name, NAMES);
    return new TartanError("invalid_request", "The mirror has no such table; GET /v1/changes/resources lists them.", {
      fields: { resource },
    });
  }
  return new TartanError("invalid_request", `The table ${name} has no changes: ${because}.`, {
    fields: {
      resource:
        "names a table without changes; read the table of the mirror, whose column changed_at says when a row changed",
    },
  });
}
