/** The life of an item, from the webhook or its absence to what the API says: its status, since when, why, and what to do. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unlinkItem } from "../../src/lifecycle/items.ts";
import { ITEM_STATUSES } from "../../src/model/statuses.ts";
import { PlaidError, type RetryClass } from "../../src/plaid/errors.ts";
import { resourcesOf } from "../../src/resources/index.ts";
import { decide } from "../../src/sync/decision.ts";
import { canMove, LIVE, MOVES, NOTICES, STATES } from "../../src/sync/life.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";
import type { Outcome } from "../../src/sync/types.ts";
import { CommandLine } from "../cli/command-line.ts";
import { startWorld, type Item, type Json, type World } from "../support/world/index.ts";
import { openEventReader, typesOf, type EventReader } from "./event-reader.ts";
import { answering, gated } from "./support.ts";

let world: World<"sync" | "api" | "processes">;
let reader: EventReader;
beforeAll(async () => {
  world = await startWorld({ sync: {}, api: {}, processes: {} });
  reader = openEventReader(world);
});
afterAll(() => world[Symbol.asyncDispose]());

const run = async (clientFor?: SyncOptions["clientFor"]): Promise<void> => {
  const worker = await world.sync.start({
    // A test says when a failure is tried again.
    delays: { retryMs: 600_000, retryMaxMs: 600_000, notReadyMs: 600_000 },
    ...(clientFor && { clientFor }),
  });
  await worker.idle();
  await worker[Symbol.asyncDispose]();
};
const refusing = (endpoint: string, errorType: string, errorCode: string): SyncOptions["clientFor"] =>
  gated(async (path, _body, pass) => {
    if (path === endpoint) throw new PlaidError({ errorType, errorCode, httpStatus: 400 });
    await pass();
  });
const shown = async ({ item_id }: Item): Promise<Json> => (await world.api.call(`GET /v1/items/${item_id}`)).body;
const cli = new CommandLine("items", () => world.processes.env);
describe("the states", () => {
  it("every decision of a run is a move that the picture of the states has, from every state with a token", () => {
    const [items] = resourcesOf("item");
    if (!items) throw new Error("no resource");
    const task = { resource: items, full: false, explicit: true };
    const failing = (group: RetryClass, errorCode: string): Outcome[] => [
      { task, failure: { class: group, errorType: "ITEM_ERROR", errorCode, message: "" } },
    ];
    const outcomes: Outcome[][] = [
      [],
      failing("backoff", "INSTITUTION_DOWN"),
      failing("trigger", "PRODUCT_NOT_READY"),
      failing("user", "ITEM_LOGIN_REQUIRED"),
      failing("item_ended", "ITEM_NOT_FOUND"),
      failing("configuration", "INVALID_API_KEYS"),
    ];
    const reached = outcomes.map((each) => decide({ attempts: 0 }, each, new Date()).status);
    expect(new Set(reached)).toEqual(
      new Set(ITEM_STATUSES.filter((each) => each !== "pending" && each !== "unlinked")),
    );
    for (const from of LIVE) for (const to of reached) expect([from, to, canMove(from, to)]).toEqual([from, to, true]);
    expect(canMove("unlinked", "ok")).toBe(false);
    expect(canMove("ok", "pending")).toBe(false);
    expect(new Set(MOVES.map(({ to }) => to))).toEqual(new Set(ITEM_STATUSES));
  });

  it("every sentence about a state or a notice is one that people can read", () => {
    const now = new Date();
    const notice = { about: "auth", until: now, details: {} };
    const sentences = [
      ...Object.values(STATES).flatMap(({ meaning, onward, next_step }) => [meaning, onward, next_step ?? meaning]),
      ...Object.values(NOTICES).flatMap((each) => [each.meaning, each.next_step, each.message(notice, now)]),
    ];
    for (const each of sentences) expect(each).toMatch(/^[A-Z].*\.$/s);
  });
});

describe("an item", () => {
  it("an item is pending from its link to its first sync, then ok, and an unlinked one says how to sync it again", async () => {
    const [item] = world.integration.makeItems(1, 2) as [Item];
    await world.integration.link(item);
    expect(await shown(item)).toMatchObject({
      status: "pending",
      status_message: STATES.pending.meaning,
      next_step: null,
    });
    await run();
    const ok = await shown(item);
    expect(ok).toMatchObject({
      status: "ok",
      notices: [],
      next_step: null,
      error_message: null,
      institution_health: null,
    });
    await world.sync.notify(item.item_id);
    await run();
    expect((await shown(item)).status_since).toBe(ok.status_since);
    await unlinkItem(world.database, world.integration.id, item.item_id);
    const unlinked = await shown(item);
    expect(unlinked).toMatchObject({ status: "unlinked", next_step: expect.stringContaining("ITEM/CREATED") });
    expect(unlinked.status_since > ok.status_since).toBe(true);
    await world.integration.link(item);
    expect(await shown(item)).toMatchObject({ status: "pending" });
  });

  it("an item whose login broke says so with the next step in the API and the event, and nothing of it once it is repaired", async () => {
    const item = await world.sync.synced(1);
    const before = (await reader.eventsOf(item.item_id)).length;
    const asked = world.simulator.asked("/institutions/get_by_id");
    await world.database.query(
      "update sync.subjects set verified_at = now() - interval '1 hour' where kind = 'institution'",
    );
    world.simulator.control.breakItem(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run();
    const words = { next_step: expect.stringContaining("update mode") };
    const broken = await shown(item);
    expect(broken).toMatchObject({ status: "needs_user", error_code: "ITEM_LOGIN_REQUIRED", ...words });
    const events = await reader.eventsOf(item.item_id, before);
    expect(events[0]).toMatchObject({ type: "item.error", data: { message: broken.error_message, ...words } });
    // The bank is not the cause.
    expect(world.simulator.asked("/institutions/get_by_id")).toBe(asked);
    world.simulator.control.repairItem(item.item_id, { webhooks: false });
    await world.sync.hurry();
    await run();
    expect(await shown(item)).toMatchObject({ status: "ok", error_code: null, error_message: null, next_step: null });
    expect(typesOf(await reader.eventsOf(item.item_id, before))).toEqual([
      "item.error",
      "sync.failed",
      "item.repaired",
      "sync.completed",
    ]);
  });

  it("an error says why the bank refuses where Plaid does, and an item that is unlinked then says how to link it, not how to repair it", async () => {
    const item = await world.sync.synced(1);
    const before = (await reader.eventsOf(item.item_id)).length;
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    const codes = {
      errorType: "ITEM_ERROR",
      errorCode: "ITEM_LOGIN_REQUIRED",
      errorCodeReason: "OAUTH_CONSENT_EXPIRED",
    };
    await run(
      gated(() => {
        throw new PlaidError({ ...codes, httpStatus: 400 });
      }),
    );
    const broken = await shown(item);
    expect(broken.error_message).toMatch(/no longer works\. The user's consent at the bank has expired\.$/);
    const [error] = await reader.eventsOf(item.item_id, before);
    expect(error).toMatchObject({ type: "item.error", data: { message: broken.error_message } });
    await unlinkItem(world.database, world.integration.id, item.item_id);
    expect(await shown(item)).toMatchObject({
      status: "unlinked",
      error_code: "ITEM_LOGIN_REQUIRED",
      next_step: STATES.unlinked.next_step,
    });
  });

  it("an item that has ended is asked about again when a webhook comes, and is ok where Plaid has it again", async () => {
    const item = await world.sync.synced(1);
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run(refusing("/item/get", "INVALID_INPUT", "ITEM_NOT_FOUND"));
    expect(await shown(item)).toMatchObject({ status: "ended" });
    await world.sync.notify(item.item_id);
    await run();
    expect(canMove("ended", "ok")).toBe(true);
    expect(await shown(item)).toMatchObject({ status: "ok", transactions: 1 });
  });

  it("an outage of the institution is retried, and says what Plaid's status of the bank is, read anew", async () => {
    const item = await world.sync.synced(1);
    const asked = world.simulator.asked("/institutions/get_by_id");
    await world.database.query(
      "update sync.subjects set verified_at = now() - interval '1 hour' where kind = 'institution'",
    );
    await world.sync.notify(item.item_id);
    const down = { status: "DOWN", last_status_change: "2026-11-20T09:00:00Z", breakdown: {} };
    const healthy = { ...down, status: "HEALTHY" };
    await run((integration) => {
      const client = refusing("/transactions/sync", "INSTITUTION_ERROR", "INSTITUTION_NOT_RESPONDING")(integration);
      const other = answering("/institutions/get_by_id", (page) => ({
        ...page,
        institution: {
          ...(page["institution"] as object),
          status: { item_logins: down, transactions_updates: healthy },
        },
      }))(integration);
      return {
        ...client,
        post: (path, ...rest) => (path === "/institutions/get_by_id" ? other : client).post(path, ...rest),
      };
    });
    expect(world.simulator.asked("/institutions/get_by_id")).toBe(asked + 1);
    expect(await shown(item)).toMatchObject({
      status: "retrying",
      error_code: "INSTITUTION_NOT_RESPONDING",
      error_message: expect.stringMatching(
        /^The bank does not respond.*item logins DOWN since 2026-11-20T09:00:00Z \(read /,
      ),
      next_step: null,
      institution_health: {
        read_at: expect.any(String),
        troubles: [{ of: "item_logins", status: "DOWN", since: "2026-11-20T09:00:00Z" }],
      },
    });
    await world.sync.hurry();
    await run();
    expect(await shown(item)).toMatchObject({ status: "ok", error_code: null, institution_health: null });
  });

  it("an item waits while Plaid prepares its data, and a token that Plaid refuses is no fault of its user", async () => {
    const item = await world.sync.synced(1);
    await world.sync.notify(item.item_id);
    await run(refusing("/transactions/sync", "ITEM_ERROR", "PRODUCT_NOT_READY"));
    expect(await shown(item)).toMatchObject({
      status: "waiting",
      status_message: STATES.waiting.meaning,
      next_step: null,
    });
    await world.sync.notify(item.item_id, "ERROR", "ITEM");
    await run(refusing("/item/get", "INVALID_INPUT", "INVALID_ACCESS_TOKEN"));
    expect(await shown(item)).toMatchObject({
      status: "misconfigured",
      error_message: expect.stringContaining("access token"),
      next_step: expect.stringContaining("ITEM/UPDATED"),
    });
  });

  it("an item that its user revoked has ended, with the next step in the API and in the event", async () => {
    const item = await world.sync.synced(1);
    world.simulator.control.revokeItem(item.item_id, { webhooks: false });
    await world.sync.notify(item.item_id, "USER_PERMISSION_REVOKED", "ITEM");
    await run();
    const ended = await shown(item);
    expect(ended).toMatchObject({
      status: "ended",
      error_code: "USER_PERMISSION_REVOKED",
      next_step: expect.stringContaining("again"),
    });
    const removed = (await reader.eventsOf(item.item_id)).find(({ type }) => type === "item.removed");
    expect(removed?.data).toEqual({
      reason: "ended",
      error_code: "USER_PERMISSION_REVOKED",
      message: ended.error_message,
      next_step: ended.next_step,
    });
  });
});

describe("notices", () => {
  it("the API and the commands show an item's notices with what to do, list the items that have one, and none once it went", async () => {
    const [warned, well] = [await world.sync.synced(1), await world.sync.synced(1)];
    await world.sync.notify(warned.item_id, "PENDING_DISCONNECT", "ITEM");
    await world.sync.notify(warned.item_id, "PRODUCT_PERMISSIONS_REQUIRED", "AUTH");
    await run();
    const { notices } = await shown(warned);
    expect(notices).toMatchObject([
      { kind: "disconnect_pending", product: null, message: expect.stringContaining("about") },
      { kind: "permissions_required", product: "auth", account_id: null, until: null },
    ]);
    for (const { message, next_step } of notices) {
      expect(message).toMatch(/^The .*\.$/);
      expect(next_step).toContain("update mode");
    }
    const listed = async (query: string): Promise<string[]> =>
      (await world.api.call(`GET /v1/items?${query}`)).body.data.map(({ item_id }: Item) => item_id);
    expect(await listed("notice=disconnect_pending")).toEqual([warned.item_id]);
    expect(await listed("notice=disconnect_pending&status=ended")).toEqual([]);
    expect(await listed("notice=new_accounts")).toEqual([]);
    expect(await world.api.call("GET /v1/items?notice=nope")).toMatchObject({ status: 400 });
    expect(await shown(well)).toMatchObject({ notices: [] });

    const list = await cli.text("items list --notice disconnect_pending");
    expect(list).toMatch(new RegExp(`${warned.item_id}.*disconnect_pending, permissions_required`));
    expect(list).toContain(NOTICES.disconnect_pending.next_step);
    const show = await cli.text("items show", warned.item_id);
    expect(show).toContain(notices[0].message);
    expect(show).toContain(NOTICES.permissions_required.next_step);
    expect(show).toContain(STATES.ok.meaning);

    await world.sync.notify(warned.item_id, "UPDATED", "ITEM");
    await run();
    expect(await shown(warned)).toMatchObject({ status: "ok", notices: [] });
    expect(await listed("notice=disconnect_pending")).toEqual([]);
    expect(await cli.text("items list --notice disconnect_pending")).toContain(
      "No item matches --notice disconnect_pending",
    );
  });
});
