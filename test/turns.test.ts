import { expect, test } from "vitest";
import { mapInTurns } from "../src/turns.ts";

const KIB = 1024;

/** How many turns of the event loop pass until the list is mapped. */
async function turnsFor(sizes: readonly number[]): Promise<{ turns: number; mapped: number[] }> {
  let turns = 0;
  let done = false;
  const count = (): void => {
    if (done) return;
    turns += 1;
    setImmediate(count);
  };
  setImmediate(count);
  const mapped = await mapInTurns(
    sizes,
    (size) => size,
    (size) => size * 2,
  );
  done = true;
  return { turns, mapped };
}

test("a small list is mapped in one turn of the event loop", async () => {
  const sizes = Array.from({ length: 200 }, () => KIB);
  expect(await turnsFor(sizes)).toEqual({ turns: 0, mapped: sizes.map((size) => size * 2) });
});

test("a large list lets other work go first after each quarter of a megabyte, and keeps its order", async () => {
  const sizes = Array.from({ length: 64 }, (_, n) => 64 * KIB + n);
  const { turns, mapped } = await turnsFor(sizes);
  expect(mapped).toEqual(sizes.map((size) => size * 2));
  expect(turns).toBeGreaterThanOrEqual(15);
});

test("each element that is large by itself has a turn of its own", async () => {
  const { turns } = await turnsFor([900, 900, 900, 900].map((size) => size * KIB));
  expect(turns).toBeGreaterThanOrEqual(3);
});
