/** Arrivals that were acknowledged and cannot be stored: each is visible, none is dropped in silence, and none keeps the others back. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { newUuid } from "../../src/model/ids.ts";
import type { LinkedItem } from "../../src/model/intake.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot, VAULT_KEYS } from "./support.ts";

const token = "access-sandbox-readable-nowhere";
const linked = (more: Partial<LinkedItem> = {}): LinkedItem => ({
  arrival: "linked_item",
  integrationId: "svi_test",
  itemId: "item-1",
  accessToken: token,
  receivedAt: new Date(),
  ...more,
});

describe("arrivals that cannot be stored", () => {
  test("one that Postgres refuses is kept in a file and recorded, and those around it are stored", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    await using opened = await open(root, inner);
    const given = Array.from({ length: 9 }, () => arrived());
    const bad = given[4];
    inner.refuse = (arrival) => ("id" in arrival && arrival.id === bad?.id ? new RangeError("no") : null);
    await Promise.all(given.map((each) => opened.spool.accept(each)));
    inner.mode = "there";
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(given.filter((each) => each !== bad).map(({ id }) => id));
    expect(opened.refusals).toMatchObject([{ integrationId: "svi_test", reason: "spool_refused" }]);
    const [file, ...more] = await root.files(/^refused$/);
    expect(more).toEqual([]);
    expect((await readFile(file ?? "")).includes(bad?.body ?? "")).toBe(true);
  });

  test("those of an integration that is not there are kept for a week, and tried again at each start", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const [young, old, other] = [arrived(), arrived({ receivedAt: new Date(Date.now() - 8 * 86_400_000) }), arrived()];
    {
      await using opened = await open(root, inner);
      inner.refuse = (arrival) =>
        "id" in arrival && arrival.id !== other.id ? new TartanError("not_found", "no integration") : null;
      await Promise.all([young, old, other].map((each) => opened.spool.accept(each)));
      inner.mode = "there";
      await until("the spool is drained", () => opened.spool.status().state === "straight");
      expect(opened.refusals.map(({ reason }) => reason)).toEqual(["integration_unknown", "integration_unknown"]);
    }
    expect(inner.ids).toEqual([other.id]);
    expect(await root.files(/^later$/)).toHaveLength(1);
    inner.refuse = () => null;
    await using opened = await open(root, inner);
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual([other.id, young.id]);
    expect(await root.files(/^later$/)).toEqual([]);
  });

  test("an item's token is sealed in the file, is opened when it is drained, and its body is left out if it holds the token", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    await using opened = await open(root, inner);
    const given = linked({ id: newUuid(), userId: "user-1", full: true, body: Buffer.from(`{"t":"${token}"}`) });
    const bare = linked({ itemId: "item-2", body: Buffer.from("{}") });
    expect(await opened.spool.accept(given)).toEqual({ id: given.id, duplicate: false, created: true });
    const { id } = await opened.spool.accept(bare);
    const [file = ""] = await root.files();
    expect((await readFile(file)).includes(token)).toBe(false);
    inner.mode = "there";
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    const { body, ...rest } = given;
    expect(body).toBeDefined();
    expect(inner.stored).toEqual([rest, { ...bare, id }]);
  });

  test("a token whose master key is gone is kept, keeps nothing back, and is stored once the key is there again", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    const [item, webhook] = [linked(), arrived()];
    {
      await using opened = await open(root, inner);
      await opened.spool.accept(item);
      await opened.spool.accept(webhook);
    }
    inner.mode = "there";
    {
      await using opened = await open(root, inner, { vault: openVault([randomBytes(32).toString("base64")]) });
      await until("the spool is drained", () => opened.spool.status().state === "straight");
    }
    expect(inner.ids).toEqual([webhook.id]);
    const rotated = openVault([randomBytes(32).toString("base64"), ...VAULT_KEYS]);
    await using opened = await open(root, inner, { vault: rotated });
    await until("the spool is drained", () => opened.spool.status().state === "straight");
    expect(inner.stored.at(-1)).toMatchObject({ arrival: "linked_item", accessToken: token });
  });

  test("a linked item without what it needs is refused before it touches the file", async () => {
    await using root = await spoolRoot();
    const inner = new MemoryIntake();
    inner.mode = "away";
    await using opened = await open(root, inner, {
      check: () => {
        throw new TartanError("invalid_request", "no");
      },
    });
    await expect(opened.spool.accept(linked())).rejects.toMatchObject({ code: "invalid_request" });
    expect(opened.spool.status().waiting).toBe(0);
  });
});
