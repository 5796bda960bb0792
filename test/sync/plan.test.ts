/** What a run is to do, and what becomes of a subject: decided without a database. */
import { describe, expect, it } from "vitest";
import type { WaitingWebhook } from "../../src/journal/served.ts";
import { planRun } from "../../src/sync/plan.ts";
import { growing } from "../../src/sync/retry.ts";
import type { Failure, Outcome, Status, Task } from "../../src/sync/types.ts";
import { decide } from "../../src/sync/decision.ts";
import { resourcesOf } from "../../src/resources/index.ts";

const waiting = (type: string | null, code: string | null, requested: string[] = []): WaitingWebhook => ({
  id: "",
  type,
  code,
  receivedAt: new Date(),
  sentAt: new Date(),
  requested,
});
const plan = (
  requested: string[],
  webhooks: [string | null, string | null][] = [],
  status: Status = "ok",
  kind = "item",
): string[] =>
  planRun(
    { kind, status, requested },
    webhooks.map(([type, code]) => waiting(type, code)),
  ).map(({ resource, full, explicit }) => `${resource.name}${full ? ":full" : ""}${explicit ? "!" : ""}`);

/** What is read of an item when nothing is left out: what Plaid bills by the request is read by name only. */
const EVERYTHING = resourcesOf("item")
  .filter(({ billed }) => billed === undefined)
  .map(({ name }) => name);

describe("a plan", () => {
  it("a plan holds what the webhooks touch, each resource once", () => {
    expect(
      plan(
        [],
        [
          ["TRANSACTIONS", "DEFAULT_UPDATE"],
          ["TRANSACTIONS", "SYNC_UPDATES_AVAILABLE"],
        ],
      ),
    ).toEqual(["accounts!", "transactions!"]);
    expect(plan([], [["ITEM", "ERROR"]])).toEqual(["items"]);
  });

  it("a plan holds what a webhook requests besides what it touches, read from the start for that webhook", () => {
    const webhook = { ...waiting("INCOME", "X", ["transactions:full"]), id: "webhook-1" };
    const [task, ...others] = planRun({ kind: "item", status: "ok", requested: [] }, [webhook]);
    expect(others.filter(({ resource }) => resource.name !== "items")).toEqual([]);
    expect([task, ...others].find((each) => each?.resource.name === "transactions")).toMatchObject({
      full: true,
      explicit: true,
      fullFor: ["webhook-1"],
    });
  });

  describe("of a resource that Plaid bills by request", () => {
    const [liabilities] = resourcesOf("item").filter(({ name }) => name === "liabilities");
    if (!liabilities) throw new Error("there is no such resource");
    const planned = (billed: "each" | "once", requested: string[], enabled: string[], status: Status = "ok") => {
      const { billed: before } = liabilities;
      try {
        liabilities.billed = billed;
        const tasks = planRun({ kind: "item", status, requested }, [waiting("LIABILITIES", "DEFAULT_UPDATE")], enabled);
        return tasks.filter(({ resource }) => resource === liabilities).map(({ explicit }) => explicit);
      } finally {
        if (before === undefined) delete liabilities.billed;
        else liabilities.billed = before;
      }
    };

    it("a plan leaves out a billed resource that the integration does not enable, even where it is named", () => {
      for (const requested of [["*"], ["liabilities"], ["liabilities:full"]])
        expect([planned("once", requested, []), planned("each", requested, ["others"])]).toEqual([[], []]);
    });

    it("an enabled resource that is billed once is planned as any other", () => {
      expect(planned("once", [], ["liabilities"])).toEqual([true]);
      expect(planned("once", ["*"], ["liabilities"], "pending")).toEqual([true]);
    });

    it("an enabled resource that is billed for each request is planned only where a request names it", () => {
      expect(planned("each", ["*", "*:full"], ["liabilities"], "pending")).toEqual([]);
      expect(planned("each", ["liabilities"], ["liabilities"])).toEqual([true]);
    });
  });

  it("a request for a resource as one of all does not override the products of the subject", () => {
    expect(plan(["liabilities:full:listed"])).toEqual(["items", "liabilities:full"]);
    expect(plan(["liabilities:full"])).toEqual(["liabilities:full!"]);
  });

  it("a plan is nothing for unknown types and names", () => {
    expect(
      plan(
        [],
        [
          ["CHEESE", "DEFAULT_UPDATE"],
          [null, null],
          ["ITEM", null],
        ].slice(0, 2) as [string, string][],
      ),
    ).toEqual([]);
    expect(plan(["cheese"])).toEqual([]);
    expect(plan(["*"], [], "pending", "beacon_user")).toEqual([]);
  });

  it("a plan is everything for a subject that was never brought up to date, or is linked anew", () => {
    for (const status of ["pending", "unlinked", "ended"] as const) expect(plan([], [], status)).toEqual(EVERYTHING);
    expect(
      plan([], [["DASHBOARD_CONFIGURED_ALERT", "INSTITUTION_STATUS_ALERT_TRIGGERED"]], "ok", "institution"),
    ).toEqual(["institutions"]);
  });

  it("a plan holds requested resources, from the start where requested", () => {
    expect(plan(["*"])).toEqual(EVERYTHING);
    expect(plan(["transactions:full"])).toEqual(["transactions:full!"]);
    expect(plan(["*:full"])).toEqual(EVERYTHING.map((name) => `${name}:full`));
    expect(plan(["transactions", "transactions:full", "*"])).toEqual(
      EVERYTHING.map((name) => (name === "transactions" ? "transactions:full!" : name)),
    );
  });

  it("a plan reads from the start after a webhook that makes increments untrustworthy", () => {
    expect(plan([], [["ITEM", "USER_ACCOUNT_REVOKED"]])).toEqual(
      EVERYTHING.map((name) => (name === "transactions" ? "transactions:full" : name)),
    );
  });

  it("a plan holds the subject itself while it has an error", () => {
    for (const status of ["needs_user", "retrying", "misconfigured"] as const) {
      expect(plan([], [["TRANSACTIONS", "DEFAULT_UPDATE"]], status)).toEqual(["items", "accounts!", "transactions!"]);
      expect(plan([], [], status)).toEqual([]);
    }
  });
});

const [root, accounts, transactions] = resourcesOf("item").map((resource): Task => ({
  resource,
  full: false,
  explicit: false,
})) as [Task, Task, Task];
const read = (task: Task, row: Record<string, unknown> | null = null): Outcome => ({
  task,
  read: { resource: task.resource, pages: [], whole: true },
  cursor: null,
  root: row,
  complete: true,
});
const failed = (task: Task, kind: Failure["class"], errorCode = "CODE", retryInMs?: number): Outcome => ({
  task,
  failure: { class: kind, errorType: "TYPE", errorCode, message: "m", ...(retryInMs !== undefined && { retryInMs }) },
});
const decision = (outcomes: Outcome[], attempts = 0) => decide({ attempts }, outcomes, new Date());

describe("a decision", () => {
  it("a run is decided ok when everything was read or need not be", () => {
    expect(decision([read(root, { error: null }), read(transactions)])).toMatchObject({
      status: "ok",
      outcome: "synced",
      dueInMs: null,
      attempts: 0,
    });
    expect(decision([failed(transactions, "product_unavailable")], 3)).toMatchObject({
      status: "ok",
      outcome: "product_unavailable",
      attempts: 0,
    });
    expect(decision([{ task: transactions, skipped: true }, read(root)])).toMatchObject({
      status: "ok",
      outcome: "synced",
    });
  });

  it("the gravest failure decides a run, and everything that failed stays requested", () => {
    const outcomes = [read(root), failed(accounts, "user"), failed(transactions, "backoff")];
    expect(decision(outcomes)).toMatchObject({ status: "retrying" });
    expect(decision(outcomes).pending).toEqual(["accounts", "transactions", "*"]);
    expect([...decision(outcomes).retried]).toEqual(["transactions"]);
    expect(decision([failed(accounts, "trigger"), failed(transactions, "user")])).toMatchObject({
      status: "needs_user",
    });
    expect(decision([failed(root, "configuration"), failed(transactions, "backoff")])).toMatchObject({
      status: "misconfigured",
    });
    expect(decision([failed({ ...transactions, full: true }, "trigger")]).pending).toEqual(["transactions:full"]);
  });

  it("a retry waits longer with each attempt, within bounds, and marks do not hasten it", () => {
    const waits = [0, 1, 5, 30].map((attempts) => decision([failed(transactions, "backoff")], attempts));
    expect(waits.map(({ attempts }) => attempts)).toEqual([1, 2, 6, 31]);
    for (const { dueInMs, holdMs } of waits) expect(holdMs).toBe(dueInMs);
    expect(waits[0]?.dueInMs).toBeLessThanOrEqual(2000);
    expect(waits[3]?.dueInMs).toBeLessThanOrEqual(3_600_000);
    expect(decision([failed(transactions, "backoff", "CODE", 5_000_000)]).dueInMs).toBeGreaterThanOrEqual(5_000_000);
    expect(decision([failed(transactions, "trigger")]).holdMs).toBeNull();
    expect(growing(1000, 4000, 50, () => 1)).toBe(4000);
    expect(growing(1000, 4000, 2, () => 0)).toBe(1000);
  });

  it("waiting for Tartan's own rate limit is not a failure", () => {
    expect(decision([failed(transactions, "limited", "", 1234)], 2)).toMatchObject({
      status: "retrying",
      attempts: 2,
      dueInMs: 1234,
      error: null,
    });
  });

  it("a successful answer with an item's error decides the item's status", () => {
    const broken = (error_code: string, error_type = "ITEM_ERROR") =>
      decision([read(root, { error: { error_type, error_code } }), read(transactions)]);
    expect(broken("ITEM_LOGIN_REQUIRED")).toMatchObject({
      status: "needs_user",
      error: { error_code: "ITEM_LOGIN_REQUIRED", resource: "items" },
    });
    for (const code of ["USER_PERMISSION_REVOKED", "UNSUPPORTED_RESPONSE", "INSTITUTION_NO_LONGER_SUPPORTED"])
      expect(broken(code)).toMatchObject({ status: "needs_user", gone: false, error: { error_code: code } });
    expect(broken("INSTITUTION_DOWN", "INSTITUTION_ERROR")).toMatchObject({ status: "ok" });
    for (const error of ["text", 7, {}, { error_type: 1, error_code: 2 }, null]) {
      expect(decision([read(root, { error })])).toMatchObject({ status: "ok" });
    }
  });

  it("a run removes nothing while the token may be another item's", () => {
    const unsure = (outcomes: Outcome[]) => decide({ attempts: 0 }, outcomes, new Date(), undefined, false);
    expect(unsure([failed(root, "item_ended", "ITEM_NOT_FOUND")])).toMatchObject({ status: "ended", gone: false });
    const refused = failed(accounts, "item_ended", "USER_PERMISSION_REVOKED");
    expect(unsure([read(root, { error: null }), refused])).toMatchObject({ status: "ended", gone: true });
    const foreign = decision([failed(root, "configuration", "token_of_another_item")]);
    expect(foreign).toMatchObject({ status: "misconfigured", gone: false, pending: ["items", "*:full"] });
    expect(foreign.error?.next_step).toMatch(/ITEM\/CREATED/);
  });

  it("a subject ends only when Plaid is certain", () => {
    expect(decision([failed(root, "item_ended", "ITEM_NOT_FOUND")])).toMatchObject({
      status: "ended",
      gone: true,
      dueInMs: null,
    });
    for (const code of ["ITEM_NOT_SUPPORTED", "MFA_NOT_SUPPORTED", "UNSUPPORTED_RESPONSE"]) {
      const kept = decision([failed(root, "item_ended", code)]);
      expect(kept).toMatchObject({ status: "needs_user", gone: false, pending: ["items", "*"] });
      expect(kept.dueInMs).toBeGreaterThan(0);
    }
    expect(decision([read(root), failed(transactions, "item_ended", "ITEM_NOT_FOUND")])).toMatchObject({
      status: "ended",
      gone: true,
    });
    expect(decision([read(root), failed(transactions, "item_ended", "UNSUPPORTED_RESPONSE")])).toMatchObject({
      status: "needs_user",
      gone: false,
    });
    expect(
      decision([failed(root, "backoff"), failed(transactions, "item_ended", "UNSUPPORTED_RESPONSE")]),
    ).toMatchObject({ status: "retrying", gone: false });
  });
});
