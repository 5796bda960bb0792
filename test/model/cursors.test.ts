import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromCursor, fromKeyCursor, toCursor, toKeyCursor } from "../../src/model/cursors.ts";

describe("cursors", () => {
  test("a cursor gives back the key that it was made of, with any letters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (key) => {
        expect(fromCursor("items", toCursor("items", key))).toBe(key);
      }),
    );
  });

  test("a cursor of several texts gives them back in their order", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }), (key) => {
        expect(fromKeyCursor("items", toKeyCursor("items", key))).toEqual(key);
      }),
    );
  });

  test("a cursor of another list, a cursor with a changed character and any other text are refused", () => {
    const cursor = toCursor("items", "item-1");
    const changed = (cursor.startsWith("A") ? "B" : "A") + cursor.slice(1);
    for (const wrong of [toCursor("webhooks", "item-1"), changed, `${cursor}A`, "", "item-1", "not a cursor"])
      expect(() => fromCursor("items", wrong)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});
