/** What a line says of a thing. */
import { expect, it } from "vitest";
import { describeFilter, stateOf } from "../../../src/cli/output/describe.ts";

it("a route's filter is described in a few words", () => {
  expect(describeFilter({ types: ["*"], item_ids: ["a"], history: true })).toBe("* a + history");
  expect(describeFilter({})).toBe("*");
});

it("a destination's state is that of its circuit unless somebody paused or disabled it", () => {
  expect(stateOf("active", "closed")).toBe("active");
  expect(stateOf("active", "open")).toBe("open");
  expect(stateOf("paused", "open")).toBe("paused");
});
