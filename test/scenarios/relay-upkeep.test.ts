/** Looking after destinations, routes, deliveries and jobs by commands, as an operator does. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runTartan } from "../support/process.ts";
import { startReceiver } from "../support/receiver.ts";
import { openStage, until, type Stage } from "../support/stage.ts";

// Each command is a process of its own, and on a busy machine there are many.
vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let folder: string;

beforeAll(async () => {
  stage = await openStage({ seed: "relay-upkeep" });
  folder = mkdtempSync(join(tmpdir(), "tartan-upkeep-"));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await stage[Symbol.asyncDispose]();
});

const LOOPBACK = { TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1", TARTAN_RELAY_ALLOW_HTTP: "true" };
const tartan = (...args: string[]) => runTartan({ ...stage.env, ...LOOPBACK }, args);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await tartan(...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

interface Shown {
  id: string;
  signing_secret: string;
  keys: { scheme: string; public_key: string | null; expires_at: string | null }[];
  routes: { id: string; filter: object }[];
}

describe("a destination", () => {
  it("a destination is shown with all its settings except its secrets", async () => {
    const headers = join(folder, "headers.json");
    writeFileSync(headers, JSON.stringify({ "X-Api-Key": "sesame-from-file" }));
    const made = await json<Shown>(
      ..."destinations create https://example.com/hook --name Ledger --timeout 20 --schedule 1 60".split(" "),
      ..."--rate 100/2 --concurrency 3 --ordering per_item --disable-after 24 --scheme v1a".split(" "),
      ..."--events item.* transactions.changed --history".split(" "),
      "--header",
      "Authorization: Bearer sesame",
      "--headers-file",
      headers,
    );
    expect(made.signing_secret).toMatch(/^whsk_/);
    expect(made.keys).toMatchObject([{ scheme: "v1a", public_key: expect.stringMatching(/^whpk_/) as unknown }]);
    const shown = await json<Shown>("destinations", "show", made.id);
    expect(shown).toMatchObject({
      name: "Ledger",
      timeout_ms: 20_000,
      schedule: [1, 60],
      rate_limit: { count: 100, window_ms: 2000 },
      concurrency: 3,
      ordering: "per_item",
      disable_after_s: 86_400,
      header_names: ["x-api-key", "authorization"],
      status: "active",
      routes: [{ filter: { types: ["item.*", "transactions.changed"], history: true }, form: "event" }],
    });
    for (const form of [[], ["--json"]]) {
      const { stdout } = await tartan("destinations", "show", made.id, ...form);
      expect(stdout).not.toMatch(/sesame|whsk_/);
    }

    await json("destinations", "update", made.id, "--no-rate", "--name", "Books");
    expect(await json("destinations", "show", made.id)).toMatchObject({
      name: "Books",
      rate_limit: null,
      concurrency: 3,
    });
    await tartan("destinations", "disable", made.id);
    expect(await json("destinations", "show", made.id)).toMatchObject({
      status: "disabled",
      disabled_reason: "by_hand",
    });
    expect((await tartan("status")).stdout).toMatch(/1 disabled[\s\S]*Books/);
    await tartan("destinations", "enable", made.id);
    expect(await json("destinations", "show", made.id)).toMatchObject({ status: "active" });
  });

  it("rotating a destination's key keeps the old one for the grace period", async () => {
    const made = await json<Shown>("destinations", "create", "https://example.com/rotated", "--no-route");
    const rotated = await json<Shown>("destinations", "rotate-secret", made.id, "--grace", "2");
    expect(rotated.signing_secret).toMatch(/^whsec_/);
    expect(rotated.signing_secret).not.toBe(made.signing_secret);
    const { keys, routes } = await json<Shown>("destinations", "show", made.id);
    expect(keys).toMatchObject([{ expires_at: null }, { expires_at: expect.any(String) as unknown }]);
    expect(routes).toEqual([]);
  });

  it("a destination is deleted only with --yes", async () => {
    const { id } = await json<Shown>("destinations", "create", "https://example.com/short-lived");
    const refused = await tartan("destinations", "delete", id);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("--yes");
    expect((await tartan("destinations", "delete", id, "--yes")).code).toBe(0);
    expect((await tartan("destinations", "show", id)).code).toBe(1);
  });
});

describe("a route", () => {
  it("updating a route changes only what is named", async () => {
    const { id: to } = await json<Shown>("destinations", "create", "https://example.com/routes", "--no-route");
    const file = join(folder, "shape.jsonata");
    writeFileSync(file, '{"item": item_id}\n');
    const made = await json<{ id: string }>(
      ...`routes create ${to} --events item.error --item a b --transform @${file}`.split(" "),
      "--match",
      '{"error.error_code": "X"}',
    );
    expect(made).toMatchObject({ form: "transform", transform: '{"item": item_id}', version: 1 });
    const update = (...args: string[]) => json("routes", "update", made.id, ...args);
    expect(await update("--item", "c", "--no-match")).toMatchObject({
      filter: { types: ["item.error"], item_ids: ["c"] },
      match: null,
      form: "transform",
      version: 2,
    });
    expect(await update("--form", "event")).toMatchObject({ form: "event", transform: null, version: 3 });
    expect(await update("--disable", "--name", "Old")).toMatchObject({ enabled: false, name: "Old", version: 3 });
    expect((await tartan("routes", "list", "--destination", to)).stdout).toMatch(
      /Old\s+item\.error c\s+event.*disabled/,
    );
    expect((await tartan("routes", "delete", made.id)).stderr).toContain("--yes");
    expect((await tartan("routes", "delete", made.id, "--yes")).code).toBe(0);
    expect(await json("routes", "list", "--destination", to)).toEqual({ data: [], next_cursor: null });
  });
});

describe("deliveries and jobs", () => {
  it("deliveries and jobs can be held, cancelled, replayed, paused and followed to their end", async () => {
    for (const { id } of (await json<{ data: Shown[] }>("destinations", "list")).data)
      await tartan("destinations", "delete", id, "--yes");
    const server = await stage.tartan(["up"], LOOPBACK);
    await using receiver = await startReceiver();
    const { id: to } = await json<Shown>("destinations", "create", receiver.url, "--events", "item.linked");
    await tartan("destinations", "pause", to);
    const items = await stage.makeItems(server, 2);
    for (const each of items) await stage.link(server, each);
    const list = async (...args: string[]) =>
      (await json<{ data: { id: string; event_id: string }[] }>("deliveries", "list", "--destination", to, ...args))
        .data;
    await until("two are held", async () => (await list("--status", "held")).length === 2);
    const [last, first] = (await list()) as [{ id: string; event_id: string }, { id: string }];
    expect((await tartan("status")).stdout).toMatch(/2 held/);

    expect(await json("deliveries", "cancel", last.id)).toMatchObject({ status: "cancelled" });
    expect((await tartan("deliveries", "cancel", last.id)).code).toBe(1);
    await tartan("destinations", "resume", to);
    await until("the other arrives", async () => (await list("--status", "delivered")).length === 1);
    expect(await list("--status", "delivered")).toMatchObject([{ id: first.id }]);
    expect(receiver.received).toHaveLength(1);

    const job = await json<{ id: string }>("deliveries", "replay", last.id, "--reason", "wanted after all");
    const done = await json("jobs", "show", job.id, "--follow");
    expect(done).toMatchObject({ status: "done", total: 1, changed: 1, reason: "wanted after all" });
    await until("it arrives", async () => receiver.received.length === 2);
    expect(receiver.received[1]?.headers).toMatchObject({ "webhook-id": last.event_id, "webhook-replay": job.id });
    expect((await tartan("jobs", "pause", job.id)).stderr).toMatch(/done.*\[conflict\]/);
    expect((await tartan("deliveries", "show", last.id)).stdout).toMatch(/#1.*200.*\n.*for job_/);
    await until("nothing waits", async () => /deliveries\s+nothing waits/.test((await tartan("status")).stdout));

    const listed = await json<{ data: { id: string; type: string }[] }>("events", "list", "--events", "item.linked");
    expect(listed.data).toHaveLength(2);
    expect(JSON.parse((await tartan("events", "show", last.event_id)).stdout)).toMatchObject({ type: "item.linked" });
  });
});
