/** Sensitive fields of rows: which values are masked and how, and that columns, raw and events hold the same. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isMasked, maskedRow } from "../../src/mirror/masks.ts";
import { applyReading } from "../../src/mirror/apply.ts";
import type { Scope } from "../../src/mirror/types.ts";
import { RESOURCES } from "../../src/resources/index.ts";
import { maskClause, maskWords } from "../../src/resources/meanings/masks.ts";
import { date, jsonb, numeric, text, type Column, type Resource, type Table } from "../../src/resources/types.ts";
import { MARK } from "../../src/tokens.ts";
import { maskedAsDeclared } from "../support/masking.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { changedRows, hold, resource, rowsOf } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

async function masked(row: unknown, sensitive: Table["sensitive"] = {}, revealed = false): Promise<unknown> {
  const { rows } = await world.database.query<{ row: unknown }>(
    `select ${maskedRow({ sensitive }, revealed, "$1::jsonb")} as row`,
    [JSON.stringify(row)],
  );
  return rows[0]?.row;
}

describe("mirror.masked", () => {
  it("keeps the last four characters of a long text, two of a shorter one such as a sort code, none of one with four or fewer, and nothing of a hidden one", async () => {
    const row = {
      long: "110000001234",
      four: "1234",
      five: "12345",
      seven: "1234567",
      eight: "12345678",
      number: 9876543,
      none: null,
      flag: true,
      other: "x",
    };
    const fields = {
      long: "last4",
      four: "last4",
      five: "last4",
      seven: "last4",
      eight: "last4",
      number: "last4",
      none: "last4",
      flag: "last4",
    } as const;
    expect(await masked(row, fields)).toEqual({
      long: "••••1234",
      four: "•••",
      five: "••••45",
      seven: "••••67",
      eight: "••••5678",
      number: "••••43",
      none: null,
      flag: true,
      other: "x",
    });
    expect(await masked({ name: "Ada Lovelace" }, { name: "hidden" })).toEqual({ name: "•••" });
  });

  it("leads through arrays, masks every text below its end, and keeps the names of fields", async () => {
    const owners = [
      { names: ["Ada", "A. L."], emails: [{ data: "a@b.c", primary: true }] },
      { names: [], emails: null },
    ];
    expect(await masked({ owners }, { "owners.names": "hidden", "owners.emails": "hidden" })).toEqual({
      owners: [
        { names: ["•••", "•••"], emails: [{ data: "•••", primary: true }] },
        { names: [], emails: null },
      ],
    });
  });

  it("masks a text that stands where the path leads on, since it may be the value itself", async () => {
    expect(await masked({ address: "1 Main St" }, { "address.street": "hidden" })).toEqual({ address: "•••" });
  });

  it("masks a field that few rows have in those that have it", async () => {
    const row = (account_numbers: unknown) => ({ amount: 1.5, counterparties: [{ name: "x" }, { account_numbers }] });
    const ask = async (given: unknown) => {
      const expression = maskedRow(
        { sensitive: { "counterparties.account_numbers": "last4" }, rarelySensitive: true },
        false,
        "$1::jsonb",
      );
      return (await world.database.query<{ row: unknown }>(`select ${expression} as row`, [JSON.stringify(given)]))
        .rows[0]?.row;
    };
    expect(await ask(row({ bacs: { account: "31926819" } }))).toEqual(row({ bacs: { account: "••••6819" } }));
    for (const plain of [row(null), { amount: 1.5 }, { counterparties: null }]) expect(await ask(plain)).toEqual(plain);
  });

  it("shows a token to nobody, also where the resource is revealed, by the mark that replaces tokens elsewhere", async () => {
    const row = { link_token: "link-sandbox-1", account: "123456789" };
    const fields = { link_token: "token", account: "last4" } as const;
    expect(await masked(row, fields, true)).toEqual({ link_token: MARK, account: "123456789" });
  });

  it("masks any object as declared, and changes nothing when it masks it again", async () => {
    const name = fc.constantFrom("a", "b", "it's", "é");
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(
          null,
          true,
          7,
          123456,
          -0.5,
          "",
          "four",
          "longer",
          "•••",
          "••••12",
          "••••1234",
          "12345€78",
          "👩‍👩‍👧",
        ),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(name, tie("any"), { maxKeys: 3 }),
      ),
    })).any;
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("."));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(name, value),
        path,
        fc.constantFrom("last4", "hidden", "token"),
        async (row, at, mask) => {
          const fields = { [at]: mask } as const;
          const once = await masked(row, fields);
          expect(once).toEqual(maskedAsDeclared({ sensitive: fields }, row));
          expect(await masked(once, fields)).toEqual(once);
        },
      ),
      { numRuns: 200 },
    );
  });
});

const MORTGAGE = {
  account_id: "a",
  account_number: "3120194154",
  property_address: { street: "2992 Cameron Road", city: "Malakoff" },
};
const MASKED = { ...MORTGAGE, account_number: "••••4154", property_address: { street: "•••", city: "Malakoff" } };

async function write(scope: Scope, row: object) {
  const of = resource("liabilities");
  const pages = [{ text: JSON.stringify({ liabilities: { mortgage: [row] } }), rows: true, removals: false }];
  return await world.database.transaction(async (tx) => {
    const applied = (await applyReading(tx, scope, { resource: of, pages, whole: false })).get("liabilities_mortgage");
    if (!applied) throw new Error("nothing was applied");
    const events = await changedRows(tx, scope, "liabilities_mortgage", applied);
    return { changes: applied.changes, events: events.map(({ data }) => JSON.parse(data) as Record<string, unknown>) };
  });
}
const stored = async (scope: Scope) =>
  (
    await rowsOf(world, scope, "account_number, property_address_street as street, raw", "plaid.liabilities_mortgage")
  )[0];

describe("a row with sensitive fields", () => {
  it("is masked alike in its columns, in raw and in the event, and a value whose visible part stays equal is no change", async () => {
    const scope = hold();
    const { events } = await write(scope, MORTGAGE);
    expect(events).toMatchObject([{ added: [MASKED] }]);
    expect(await stored(scope)).toEqual({ account_number: "••••4154", street: "•••", raw: MASKED });
    const moved = {
      ...MORTGAGE,
      account_number: "9999994154",
      property_address: { street: "elsewhere", city: "Malakoff" },
    };
    expect(await write(scope, moved)).toMatchObject({ changes: { added: 0, modified: 0 }, events: [] });
  });

  it("does not show the holder's name by which an account was verified, whichever endpoint answers it", async () => {
    const row = { account_id: "a", type: "depository", subtype: "checking", verification_name: "Ada Lovelace" };
    const pages = [{ text: JSON.stringify({ accounts: [row] }), rows: true, removals: false }];
    for (const of of ["accounts", "balances"].map(resource)) {
      const scope = hold();
      await world.database.transaction((tx) => applyReading(tx, scope, { resource: of, pages, whole: false }));
      const masked = { ...row, verification_name: "•••" };
      expect(await rowsOf(world, scope, "raw", `plaid.${of.name}`)).toEqual([{ raw: masked }]);
    }
  });

  it("is kept whole where the integration reveals its resource, and only there", async () => {
    const scope = hold();
    await write(scope, MORTGAGE);
    const { changes } = await write({ ...scope, revealed: ["liabilities"] }, MORTGAGE);
    expect(changes).toEqual({ added: 0, modified: 1, removed: 0 });
    expect(await stored(scope)).toEqual({ account_number: "3120194154", street: "2992 Cameron Road", raw: MORTGAGE });
    await write({ ...scope, revealed: ["another"] }, MORTGAGE);
    expect(await stored(scope)).toMatchObject({ raw: MASKED });
  });

  it("has null in a sensitive column that can hold no mask, such as a date or a number", async () => {
    const securities = resource("holdings").tables.find(({ name }) => name === "securities");
    if (!securities) throw new Error("there is no such table");
    const columns = [date("close_price_as_of"), numeric("close_price"), text("name")];
    const sensitive = { close_price_as_of: "hidden", close_price: "last4", name: "hidden" } as const;
    const of: Resource = { ...resource("holdings"), tables: [{ ...securities, columns, sensitive }] };
    const scope = hold();
    const row = { security_id: "s", close_price_as_of: "2026-07-28", close_price: 280.55, name: "Fund" };
    const pages = [{ text: JSON.stringify({ securities: [row] }), rows: true, removals: false }];
    await world.database.transaction((tx) => applyReading(tx, scope, { resource: of, pages, whole: false }));
    expect(await rowsOf(world, scope, "close_price_as_of, close_price, name, raw", "plaid.securities")).toEqual([
      {
        close_price_as_of: null,
        close_price: null,
        name: "•••",
        raw: { security_id: "s", close_price_as_of: "•••", close_price: "••••55", name: "•••" },
      },
    ]);
  });
});

it("the words about a column say that it is masked exactly where the mirror masks it", () => {
  for (const { tables } of RESOURCES)
    for (const table of tables)
      for (const column of table.columns) {
        const said = [maskWords(table, column), maskClause(table, column)].map((words) => words !== "");
        // A mask leaves yes and no as they are.
        const masked = isMasked(table, false, column) && column.type !== "boolean";
        expect([`${table.name}.${column.name}`, ...said]).toEqual([`${table.name}.${column.name}`, masked, masked]);
      }
});

it("a column's words name the fields inside it that are masked, by their mask", () => {
  const table = {
    sensitive: { "owners[].names": "hidden", "owners[].street": "hidden", "owners[].id": "last4", "a.token": "token" },
  } as const;
  const words = (column: Column) => [maskWords(table, column), maskClause(table, column)];
  expect(words(jsonb("owners"))).toEqual([
    "`names`, `street`: hidden; `id`: last characters",
    "; names, street, id in it are masked unless revealed",
  ]);
  expect(words(text("a_token", "a.token"))).toEqual(["never shown", "; never shown"]);
  expect(words(date("owners_id", "owners.id"))).toEqual(["null", "; null unless revealed"]);
  expect(words(text("name"))).toEqual(["", ""]);
});

it("no sensitive field is a part of a key, leads to another subject, or orders or selects rows", () => {
  for (const { name, fetch, tables, derivedEvents } of RESOURCES) {
    for (const table of tables) {
      const paths = Object.keys(table.sensitive ?? {}).map((path) => path.replaceAll("[]", ""));
      const named = (column: string) => table.columns.find((each) => each.name === column)?.path.join(".") ?? column;
      const used = [
        ...table.key,
        ...(table.references ?? []).map(({ column }) => named(column)),
        ...table.rows.flatMap(({ whose, numbered }) => [whose, numbered].flatMap((field) => field ?? [])),
        ...(fetch.kind === "window" ? [named(fetch.window.column)] : []),
        ...(fetch.kind === "ledger" ? [fetch.after.idAt] : []),
      ];
      for (const path of paths)
        for (const field of used)
          expect(`${path}.`.startsWith(`${field}.`) || `${field}.`.startsWith(`${path}.`), `${name}: ${path}`).toBe(
            false,
          );
      // Derived events are made from Plaid's answer itself.
      if (derivedEvents && table.key.length === 0) expect(paths, name).toEqual([]);
    }
  }
});
