import { describe, expect, it } from "vitest";
import { openTogether, type Many } from "../../src/database/together.ts";
import type { Queryable } from "../../src/database/types.ts";

const q = {} as Queryable;

describe("callers that ask together", () => {
  it("each get their own answer, and those who come while a statement runs share the next", async () => {
    const asked: (readonly number[])[] = [];
    const doubled: Many<number, number> = async (_q, given) => {
      asked.push(given);
      await Promise.resolve();
      return given.map((each) => each * 2);
    };
    const together = openTogether(q);
    expect(await Promise.all([1, 2, 3].map((each) => together(doubled, each)))).toEqual([2, 4, 6]);
    expect(asked).toEqual([[1], [2, 3]]);
    expect(await together(doubled, 4)).toBe(8);
  });

  it("all get the error of their statement, and later callers are answered", async () => {
    let fails = true;
    const failing: Many<number, number> = async (_q, given) => {
      await Promise.resolve();
      if (fails) throw new Error("no connection");
      return given;
    };
    const together = openTogether(q);
    const all = await Promise.allSettled([1, 2].map((each) => together(failing, each)));
    expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    fails = false;
    expect(await together(failing, 3)).toBe(3);
  });
});
