/** What options say, and what they refuse. */
import { describe, expect, it } from "vitest";
import { readDestination } from "../../../src/cli/input/destination-flags.ts";
import { readInstant } from "../../../src/cli/input/instants.ts";
import { readRoute } from "../../../src/cli/input/route-flags.ts";

describe("a route's options", () => {
  it("a route's options set what they name and nothing else", () => {
    expect(readRoute({})).toEqual({});
    expect(readRoute({ events: ["item.*"], item: ["a", "b"], history: true, match: '{"a": 1}' })).toEqual({
      filter: { types: ["item.*"], item_ids: ["a", "b"], history: true },
      match: { a: 1 },
    });
    expect(readRoute({ match: false })).toEqual({ match: null });
  });

  it("a route's options imply the form of the route", () => {
    expect(readRoute({ original: true })).toEqual({ form: "original" });
    expect(readRoute({ transform: "data" })).toEqual({ form: "transform", transform: "data" });
  });

  it.each(["{", "[]", "3", "null", "@/no/such/file"])("a route's options refuse the matcher %s", (match) => {
    expect(() => readRoute({ match })).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});

describe("a destination's options", () => {
  it("a destination's options have the API's names and units", () => {
    const flags = {
      header: ["X-Key: a:b", "accept:x"],
      timeout: "2.5",
      schedule: ["1", "60"],
      rate: "10/2",
      disableAfter: "1",
    };
    expect(readDestination(flags)).toEqual({
      headers: { "X-Key": "a:b", accept: "x" },
      timeout_ms: 2500,
      schedule: [1, 60],
      rate_limit: { count: 10, window_ms: 2000 },
      disable_after_s: 3600,
    });
    expect(readDestination({ rate: false, ca: false })).toEqual({ rate_limit: null, ca: null });
    expect(readDestination({})).toEqual({});
  });

  it.each([
    [{ rate: "fast" }, "--rate"],
    [{ timeout: "soon" }, "--timeout"],
    [{ header: ["secret"] }, "--header"],
    [{ ca: "/no/such/file" }, "--ca"],
  ])("a destination's options refuse %j, naming %s", (flags, option) => {
    expect(() => readDestination(flags)).toThrow(
      expect.objectContaining({
        fields: expect.objectContaining({ [option]: expect.anything() as unknown }) as unknown,
      }),
    );
  });
});

describe("an instant", () => {
  const now = Date.parse("2026-03-07T12:00:00Z");

  it.each([
    ["30m", "2026-03-07T11:30:00.000Z"],
    ["24h", "2026-03-06T12:00:00.000Z"],
    ["7d", "2026-02-28T12:00:00.000Z"],
    ["2026-03-01T00:00:00Z", "2026-03-01T00:00:00.000Z"],
  ])("the instant %s is %s", (text, instant) => {
    expect(readInstant(text, "--since", now).toISOString()).toBe(instant);
  });

  it("a text that is not an instant is refused", () => {
    expect(() => readInstant("yesterday-ish", "--since", now)).toThrow(/--since/);
  });
});
