import * as fc from "fast-check";
import { expect, it } from "vitest";
import { pageOf } from "../../../src/api/http/paging.ts";

it("pages hold every row once, in the order of the keys, while rows come and go", () => {
  const key = fc.tuple(
    fc.constantFrom("2026-01-01", "2026-01-02", "2026-01-03"),
    fc.string({ minLength: 1, maxLength: 4 }),
  );
  const keys = fc.uniqueArray(key, { selector: (parts) => parts.join(" "), maxLength: 30 });
  fc.assert(
    fc.property(keys, keys, fc.integer({ min: 1, max: 8 }), (rows, others, limit) => {
      const seen: string[] = [];
      let cursor: string | undefined;
      for (let turn = 0; ; turn += 1) {
        const now =
          turn % 2 === 0 ? rows : [...rows, ...others.filter((other) => !rows.some((row) => `${row}` === `${other}`))];
        const page = pageOf(now, { limit, ...(cursor === undefined ? {} : { cursor }) }, (row) => row);
        expect(page.data.length).toBeLessThanOrEqual(limit);
        seen.push(...page.data.map(String));
        if (page.next_cursor === null) break;
        cursor = page.next_cursor;
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(expect.arrayContaining(rows.map(String)));
    }),
  );
});

it("a cursor that no page gave is refused", () => {
  for (const cursor of ["", "W10", "bm9uc2Vuc2U", "eyJhIjoxfQ", "WzFd"])
    expect(() => pageOf([["a"]], { limit: 1, cursor }, (row) => row)).toThrow("cursor");
});
