/** How many subjects a worker claims ahead of its free slots. */
import { expect, it } from "vitest";
import { openAhead } from "../../src/sync/ahead.ts";
import type { Claim } from "../../src/sync/types.ts";

const claims = (...ids: string[]): Claim[] => ids.map((id) => ({ id }) as Claim);
const idsOf = (some: readonly (Claim | undefined)[]): (string | undefined)[] => some.map((each) => each?.id);

function opened(concurrency = 8) {
  let now = 1000;
  const clock = { now: () => now, sleep: async () => undefined };
  return { ahead: openAhead({ clock, concurrency }), pass: (ms: number) => (now += ms) };
}

it("a worker whose runs take long claims nothing ahead, only for its free slots", () => {
  const { ahead, pass } = opened();
  expect(ahead.wanted(8)).toBe(8);
  ahead.ended();
  pass(51);
  expect(ahead.wanted(1)).toBe(1);
  expect(ahead.wanted(0)).toBe(0);
});

it("a worker claims ahead as many subjects as runs ended within the last moments, never more than it has slots", () => {
  const { ahead } = opened(4);
  for (let n = 0; n < 3; n += 1) ahead.ended();
  expect(ahead.wanted(1)).toBe(4);
  for (let n = 0; n < 30; n += 1) ahead.ended();
  expect(ahead.wanted(0)).toBe(4);
  expect(ahead.wanted(4)).toBe(8);
});

it("a worker does not claim again before half of the subjects that it claimed ahead have begun to run", () => {
  const { ahead } = opened(4);
  for (let n = 0; n < 4; n += 1) ahead.ended();
  ahead.add(claims("a", "b", "c", "d"));
  expect([ahead.wanted(0), idsOf([ahead.next(), ahead.next()]), ahead.wanted(0)]).toEqual([0, ["a", "b"], 0]);
  expect([idsOf([ahead.next()]), ahead.wanted(0)]).toEqual([["c"], 3]);
});

it("subjects run in the order in which they were claimed, and one that has waited for half a second is given back", () => {
  const { ahead, pass } = opened();
  ahead.add(claims("a"));
  pass(400);
  ahead.add(claims("b", "c"));
  expect(ahead.late()).toEqual([]);
  pass(101);
  expect(idsOf(ahead.late())).toEqual(["a"]);
  expect(idsOf([ahead.next()])).toEqual(["b"]);
  expect(idsOf(ahead.rest())).toEqual(["c"]);
  expect(idsOf([ahead.next(), ...ahead.rest()])).toEqual([undefined]);
});
