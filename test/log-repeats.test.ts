import { expect, it } from "vitest";
import { TartanError } from "../src/errors.ts";
import { openRepeats } from "../src/log-repeats.ts";

const away = (): Error => new TartanError("database_unavailable", "away");

it("a sentence about an outage is logged at once, then once a minute with the number of lines that were left out", () => {
  let now = 0;
  const repeats = openRepeats(() => now);
  const lines: unknown[][] = [];
  for (; now < 600_000; now += 1_000) {
    const said = repeats([{ error: away(), id: 1 }, "cannot claim; trying again"]);
    if (said !== null) lines.push(said);
  }
  expect(lines).toHaveLength(10);
  expect(lines[0]).toEqual([{ error: expect.any(TartanError), id: 1 }, "cannot claim; trying again"]);
  expect(lines[1]).toEqual([expect.objectContaining({ id: 1, left_out: 59 }), "cannot claim; trying again"]);
});

it("each sentence about an outage is logged for itself", () => {
  const repeats = openRepeats(() => 0);
  expect(repeats([{ err: away() }, "one"])).not.toBeNull();
  expect(repeats([{ err: away() }, "two"])).not.toBeNull();
  expect(repeats([{ err: away() }, "one"])).toBeNull();
});

it("lines about anything else than an outage are all logged", () => {
  const repeats = openRepeats(() => 0);
  for (const fields of [{ error: new Error("another failure") }, {}, { error: new TartanError("internal", "x") }, null])
    for (let time = 0; time < 3; time += 1) expect(repeats([fields, "a sentence"])).toEqual([fields, "a sentence"]);
  expect(repeats(["a sentence alone"])).toEqual(["a sentence alone"]);
});
