/** What all kinds of records have in common: seeds, clients, webhooks, refusals, restarts, the activity. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frozenClock, startSimulator, type RecordKind, type Simulator } from "../../src/simulator/index.ts";
import { ALL_RECORDS } from "../../src/simulator/records/index.ts";
import { openInbox, type Inbox } from "./support/inbox.ts";
import { post } from "./support/client.ts";

const MADE = ALL_RECORDS.filter(({ only }) => only === undefined);
const KINDS = MADE.map(({ kind }) => ({ kind: kind as RecordKind }));
const clock = frozenClock("2026-03-07T12:00:00Z");

let folder: string;
let inbox: Inbox;
let simulator: Simulator;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tartan-records-"));
  inbox = await openInbox();
  simulator = await startSimulator({ seed: "records", clock, rateLimits: false, webhook: inbox.url });
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await inbox[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe("records", () => {
  test.each(KINDS)("a $kind is the same in two worlds of one seed, whatever else happened there", async ({ kind }) => {
    await using one = await startSimulator({ seed: "twins", clock });
    await using other = await startSimulator({ seed: "twins", clock });
    other.control.createItems({ count: 1, transactions: 5 });
    for (const others of KINDS) if (others.kind !== kind) other.control.records.create(others.kind, { count: 2 });
    const make = ({ control }: Simulator) => control.records.create(kind, { count: 2, webhook: inbox.url });
    expect(make(other)).toEqual(make(one));
  });

  test("a record's webhooks go to its client's URL, to its own, to the one of a call, or nowhere, with Plaid's signature", async () => {
    const { control } = simulator;
    inbox.arrived.length = 0;
    const [shared, own] = control.records
      .create("payment", { count: 1 })
      .records.concat(control.records.create("payment", { webhook: `${inbox.url}?own` }).records);
    const move = { status: "PAYMENT_STATUS_INITIATED" } as const;
    control.records.change("payment", shared?.id ?? "", move);
    control.records.change("payment", own?.id ?? "", move);
    control.records.change("payment", own?.id ?? "", { status: "PAYMENT_STATUS_EXECUTED", webhooks: false });
    await post(simulator, "/sandbox/payment/simulate", {
      payment_id: own?.id,
      webhook: `${inbox.url}?call`,
      status: "PAYMENT_STATUS_SETTLED",
    });
    await control.idle();
    const sent = control.webhooks().webhooks.map(({ url, webhook_code, status }) => ({ url, webhook_code, status }));
    const code = { webhook_code: "PAYMENT_STATUS_UPDATE", status: "delivered" };
    expect(sent).toEqual([
      { url: inbox.url, ...code },
      { url: `${inbox.url}?own`, ...code },
      { url: `${inbox.url}?call`, ...code },
    ]);
    expect(inbox.arrived[0]?.body).toMatchObject({ payment_id: shared?.id, environment: "sandbox" });
    expect(inbox.arrived[0]?.body).not.toHaveProperty("item_id");
    expect(inbox.arrived[0]?.jwt.split(".")).toHaveLength(3);
  });

  test("an endpoint refuses another client's record and one that nobody has alike", async () => {
    const { control } = simulator;
    control.addClient({ client_id: "other", secret: "other_secret" });
    const [theirs] = control.records.create("payment", { client_id: "other" }).records;
    const asked = async (payment_id: unknown) =>
      (await post(simulator, "/payment_initiation/payment/get", { payment_id })).body;
    const { request_id: _, ...foreign } = await asked(theirs?.id);
    const { request_id: __, ...unknown } = await asked("payment-id-sandbox-nobody");
    expect(foreign).toEqual(unknown);
    expect(foreign).toMatchObject({ error_type: "INVALID_REQUEST", error_code: "INVALID_FIELD" });
    const wrong = { "plaid-client-id": "other", "plaid-secret": simulator.secret };
    const refused = await post(simulator, "/payment_initiation/payment/get", { payment_id: theirs?.id }, wrong);
    expect(refused.body["error_code"]).toBe("INVALID_API_KEYS");
  });

  test("the control over HTTP lists, makes, shows and changes records, and names the field that is wrong", async () => {
    const call = async (method: string, path: string, body?: unknown) => {
      const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
      const answer = await fetch(`${simulator.url}/_simulator/records/${path}`, init);
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    const made = await call("POST", "payment", { reference: "Rent", amount: { currency: "EUR", value: 700 } });
    const [{ id }] = made.body["records"] as [{ id: string }];
    expect((await call("GET", `payment/${id}`)).body).toMatchObject({
      kind: "payment",
      client_id: simulator.clientId,
      truth: { payments: { payment_id: id, reference: "Rent", amount: { value: 700 } } },
    });
    const changed = await call("POST", `payment/${id}`, { status: "PAYMENT_STATUS_EXECUTED" });
    expect(changed.body).toMatchObject({ truth: { payments: { status: "PAYMENT_STATUS_EXECUTED" } } });
    const listed = (await call("GET", "payment")).body["records"] as { id: string }[];
    expect(listed.map((one) => one.id)).toContain(id);
    for (const [method, path, body, status, field] of [
      ["POST", `payment/${id}`, { status: "DONE" }, 400, "status"],
      ["POST", "payment", { colour: "red" }, 400, "colour"],
      ["POST", "payment", { client_id: "nobody" }, 400, "client_id"],
      ["GET", "payment/none", undefined, 404, "id"],
      ["GET", "pigeons", undefined, 404, "kind"],
    ] as const) {
      const refused = await call(method, path, body);
      expect(refused.status, path).toBe(status);
      expect(refused.body).toMatchObject({ error: { fields: { [field]: expect.any(String) } } });
    }
  });

  test("records, their random streams and their clients' URLs are the same after a restart", async () => {
    const open = (webhook?: string) =>
      startSimulator({ seed: "kept", clock, stateFile: join(folder, "kept"), ...(webhook ? { webhook } : {}) });
    const before = await open("http://127.0.0.1:9/first");
    before.control.addClient({ client_id: "second", secret: "s", webhook: "http://127.0.0.1:9/second" });
    for (const { kind } of KINDS) before.control.records.create(kind, { count: 2, webhooks: false });
    const shown = ({ control }: Simulator) =>
      ALL_RECORDS.flatMap(({ kind }) => control.records.list(kind as RecordKind).records).map(
        ({ kind, id, client_id }) => control.records.get(kind as RecordKind, id, client_id),
      );
    const truth = shown(before);
    await before[Symbol.asyncDispose]();
    const after = await open("http://127.0.0.1:9/moved");
    expect(shown(after)).toEqual(truth);
    const ids = new Set(truth.map(({ id }) => id));
    for (const { kind } of KINDS) {
      for (const { id } of after.control.records.create(kind, { count: 2, webhooks: false }).records)
        expect(ids).not.toContain(id);
    }
    after.control.records.change("payment", after.control.records.list("payment").records[0]?.id ?? "", {
      status: "PAYMENT_STATUS_FAILED",
    });
    expect(after.control.webhooks().webhooks.at(-1)?.url).toBe("http://127.0.0.1:9/moved");
    await after[Symbol.asyncDispose]();
  });

  test("after a kill, new events of a client's ledger have numbers that the client cannot have seen", async () => {
    const [file, copy] = [join(folder, "killed"), join(folder, "left-behind")];
    const open = (stateFile: string) => startSimulator({ seed: "killed", clock, stateFile });
    const lastEvent = ({ control }: Simulator): number => {
      const { transfer_ledger } = control.records.get("transfer_ledger", "all").truth;
      return (transfer_ledger as { transfer_events: { event_id: number }[] }).transfer_events.at(-1)?.event_id ?? 0;
    };
    const before = await open(file);
    const [kept] = before.control.records.create("transfer").records;
    await expect.poll(() => readFileSync(file).includes(kept?.id ?? ""), { timeout: 10_000 }).toBe(true);
    copyFileSync(file, copy);
    before.control.records.create("transfer");
    const seen = lastEvent(before);
    await before[Symbol.asyncDispose]();
    await using after = await open(copy);
    expect(lastEvent(after)).toBe(seen - 1);
    after.control.records.create("transfer");
    expect(lastEvent(after)).toBeGreaterThan(seen);
  });

  test("the activity moves records on", async () => {
    const { control } = simulator;
    const [record] = control.records.create("payment", { client_id: "other", count: 3, webhook: null }).records;
    const statuses = () =>
      control.records.list("payment").records.map(({ id }) => control.records.get("payment", id).truth["payments"]);
    const before = JSON.stringify(statuses());
    expect(record).toBeDefined();
    control.startActivity({ everyMs: 10, records: 3 });
    await expect.poll(() => JSON.stringify(statuses()) !== before).toBe(true);
    expect(control.stopActivity()).toEqual({ stopped: true });
  });
});
