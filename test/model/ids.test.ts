import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromWebhookId, newUuid, toWebhookId } from "../../src/model/ids.ts";

describe("webhook ids", () => {
  test("ids made one after the other sort in that order, within a millisecond too", () => {
    const at = new Date("2026-03-01T12:00:00.123Z");
    const ids = Array.from({ length: 3000 }, () => newUuid(at));
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("an id holds its instant, its version and its variant as RFC 9562 has them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (millis) => {
        const hex = newUuid(millis).replaceAll("-", "");
        expect(Number.parseInt(hex.slice(0, 12), 16)).toBe(millis);
        expect(hex[12]).toBe("7");
        expect("89ab").toContain(hex[16]);
      }),
    );
  });

  test("the public form goes back and forth", () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(toWebhookId(uuid)).toMatch(/^whk_[0-9a-f]{32}$/);
        expect(fromWebhookId(toWebhookId(uuid))).toBe(uuid);
      }),
    );
  });

  test("what is not a webhook id is null, never a guess", () => {
    const id = toWebhookId(newUuid());
    for (const other of ["", "whk_", id.slice(0, -1), `${id}0`, id.toUpperCase(), id.slice(4), ` ${id}`, `${id}\n`]) {
      expect(fromWebhookId(other)).toBeNull();
    }
  });
});
