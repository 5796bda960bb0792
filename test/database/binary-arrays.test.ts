import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ArrayWriter } from "../../src/database/binary-arrays.ts";
import { testDatabase } from "../support/database.ts";

const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(fc.option(arbitrary), { maxLength: 20 });
const storable = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\0"));

describe("binary arrays", () => {
  test("Postgres reads back exactly the values that were written", async () => {
    await using db = await testDatabase({ empty: true });
    const columns = fc.record({
      text: orNull(storable),
      bytes: orNull(fc.uint8Array({ maxLength: 200 })),
      uuid: orNull(fc.uuid()),
      at: orNull(fc.date({ min: new Date(0), max: new Date("2200-01-01"), noInvalidDate: true })),
      int: orNull(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    });
    await fc.assert(
      fc.asyncProperty(columns, async ({ text, bytes, uuid, at, int }) => {
        // Begun far too small, so that it must grow in the middle of columns.
        const out = new ArrayWriter(8);
        const { rows } = await db.database.query<Record<string, unknown[]>>(
          `select $1::text[] as text, $2::bytea[] as bytes, $3::uuid[] as uuid,
             array(select round(extract(epoch from t) * 1000)::float8 from unnest($4::timestamptz[]) t) as at, $5::int4[] as int`,
          [
            out.text(text),
            out.bytea(bytes.map((value) => value && Buffer.from(value))),
            out.uuid(uuid),
            out.timestamptz(at),
            out.int4(int),
          ],
        );
        expect(rows[0]).toEqual({
          text,
          bytes: bytes.map((value) => value && Buffer.from(value)),
          uuid,
          at: at.map((value) => value && value.getTime()),
          int,
        });
      }),
      { numRuns: 60 },
    );
  });

  test("half a surrogate pair becomes a replacement character and leaves the next value intact", async () => {
    await using db = await testDatabase({ empty: true });
    const { rows } = await db.database.query<{ t: string[] }>("select $1::text[] as t", [
      new ArrayWriter(64).text(["before", "\ud800", "after"]),
    ]);
    expect(rows[0]?.t).toEqual(["before", "\ufffd", "after"]);
  });

  test("a value that is not a UUID is rejected and not sent as uninitialised memory", () => {
    expect(() => new ArrayWriter(64).uuid(["0192f3a8-7c5b-7e1f-9a3d-4c6b8e0f1a2"])).toThrow(RangeError);
    expect(() => new ArrayWriter(64).uuid(["zzz"])).toThrow(RangeError);
  });
});
