import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Webhook } from "standardwebhooks";
import { listDeliveries } from "../../../src/relay/ledger/deliveries.ts";
import { plantDeliveries } from "../../relay/support.ts";
import { CommandLine, everyVerbIsRun, LOOPBACK } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"relay" | "processes">;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tartan-destinations-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  world = await startWorld({ relay: {}, processes: { env: LOOPBACK } });
});
afterEach(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("destinations", () => world.processes.env);

interface Shown {
  id: string;
  signing_secret: string;
  keys: { scheme: string; public_key: string | null; expires_at: string | null }[];
  routes: { id: string; filter: object }[];
}

const NOWHERE = { url: "http://127.0.0.1:9" };
const made = async () => (await world.relay.destination(NOWHERE)).id;
const destinations = async () =>
  (await world.database.query("select from relay.destinations where deleted_at is null")).rowCount;

describe("destinations create", () => {
  it("`tartan destinations create` prints the secret that signs once, and routes all events to the destination", async () => {
    const said = await cli.text("destinations create https://example.com/hook");
    expect(said).toMatch(/✓ \* goes to https:\/\/example\.com\/hook\n/);
    expect(said).toMatch(/id\s+dst_\w+\n/);
    expect(said).toMatch(/route\s+rte_\w+ form event\n/);
    expect(said).toMatch(/signing secret\s+whsec_\S+ not shown again\n/);
    const without = await cli.text("destinations create https://example.com/other --no-route");
    expect(without).toContain("no events go yet to https://example.com/other");
    expect(without).toMatch(/npx tartan routes create dst_\w+ …/);
    expect(await destinations()).toBe(2);
  });

  it("`tartan destinations create` takes all settings, and neither it nor `show` prints a secret again", async () => {
    const headers = join(folder, "headers.json");
    writeFileSync(headers, JSON.stringify({ "X-Api-Key": "sesame-from-file" }));
    const whole = await cli.json<Shown>(
      "destinations create https://example.com/hook --name Ledger --timeout 20 --schedule 1 60",
      ..."--rate 100/2 --concurrency 3 --ordering per_item --disable-after 24 --scheme v1a".split(" "),
      ..."--events item.* transactions.changed --history".split(" "),
      "--header",
      "Authorization: Bearer sesame",
      "--headers-file",
      headers,
    );
    expect(whole.signing_secret).toMatch(/^whsk_/);
    expect(whole.keys).toMatchObject([{ scheme: "v1a", public_key: expect.stringMatching(/^whpk_/) as unknown }]);
    const shown = await cli.json<Shown>("destinations show", whole.id);
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
    const said = await cli.text("destinations show", whole.id);
    expect(said).toMatch(/headers\s+x-api-key, authorization\n/);
    expect(said).toMatch(/rate\s+100 in 2 s\n/);
    expect(said).toMatch(/rte_\w+\s+item\.\* transactions\.changed \+ history\s+event\s+enabled/);
    for (const text of [said, JSON.stringify(shown)]) expect(text).not.toMatch(/sesame|whsk_/);
  });

  it("`tartan destinations create` refuses a URL or a route that is not usable, and creates nothing", async () => {
    expect(await cli.refusal("destinations create ftp://example.com")).toMatch(
      /^invalid_request: .*must be an http or https URL/,
    );
    expect(await cli.refusal("destinations create https://example.com --rate fast")).toMatch(
      /^invalid_request: .*--rate/,
    );
    expect(await cli.refusal("destinations create https://example.com --transform ((")).toMatch(
      /^invalid_request: .*transform/s,
    );
    expect(await destinations()).toBe(0);
  });
});

describe("destinations list, show and update", () => {
  it("`tartan destinations list` prints each destination with its state and what waits for it", async () => {
    expect(await cli.text("destinations list")).toContain("npx tartan destinations create https://…");
    const { id } = await world.relay.destination(NOWHERE, { name: "Ledger" });
    await plantDeliveries(world, id, 2);
    expect(await cli.text("destinations list")).toMatch(new RegExp(`${id}\\s+Ledger\\s+active\\s+2\\s+0\\s+never`));
    expect(await cli.json("destinations list")).toMatchObject({
      data: [{ id, scheduled: 2, dead: 0 }],
      next_cursor: null,
    });
    expect(await cli.refusal("destinations list --limit 5")).toMatch(/^usage: .*unknown option/);
    expect(await cli.refusal("destinations show dst_none")).toMatch(/^not_found: .*npx tartan destinations list/);
  });

  it("`tartan destinations update` changes what is named and leaves the rest", async () => {
    const { id } = await cli.json<Shown>("destinations create https://example.com/hook --rate 100/2 --concurrency 3");
    expect(await cli.json("destinations update", id, "--no-rate", "--name", "Books")).toMatchObject({
      name: "Books",
      rate_limit: null,
      concurrency: 3,
    });
    expect(await cli.text("destinations update", id, "--url", "https://example.com/moved")).toContain(
      `✓ ${id} is changed`,
    );
    expect(await cli.json("destinations show", id)).toMatchObject({ url: "https://example.com/moved", name: "Books" });
    expect(await cli.refusal("destinations update", id, "--concurrency", "0")).toMatch(
      /^invalid_request: .*concurrency/,
    );
    expect(await cli.refusal("destinations update dst_none --name x")).toMatch(/^not_found: /);
  });
});

describe("destinations pause, resume, disable and enable", () => {
  it.each([
    ["pause", "is paused; its deliveries are held", "paused", ["held", "held"]],
    ["resume", "is resumed; its held deliveries are sent", "active", ["scheduled", "scheduled"]],
    ["disable", "is disabled; its deliveries are held", "disabled", ["held", "held"]],
    ["enable", "is enabled", "active", ["scheduled", "scheduled"]],
  ] as const)("`tartan destinations %s` says that the destination %s", async (verb, says, status, waiting) => {
    const id = await made();
    await plantDeliveries(world, id, 2);
    const before = { resume: "paused_at = now()", enable: "disabled_at = now(), disabled_reason = 'by_hand'" };
    if (verb in before)
      await world.database.query(`update relay.destinations set ${before[verb as keyof typeof before]} where id = $1`, [
        id,
      ]);
    expect(await cli.text("destinations", verb, id)).toContain(`✓ ${id} ${says}`);
    const { data } = await listDeliveries(world.database, { destination_id: id, status: "undelivered" });
    expect(data.map((delivery) => delivery.status)).toEqual(waiting);
    expect(await cli.json("destinations", verb, id)).toMatchObject({ id, status });
    const reasons = "select disabled_reason as reason from relay.destinations where id = $1";
    const { rows } = await world.database.query(reasons, [id]);
    expect(rows).toEqual([{ reason: verb === "disable" ? "by_hand" : null }]);
    expect(await cli.refusal("destinations", verb, "dst_none")).toMatch(/^not_found: /);
  });
});

describe("destinations gaps", () => {
  it("`tartan destinations gaps` prints what has not arrived, page by page", async () => {
    const id = await made();
    expect(await cli.text("destinations gaps", id)).toContain("Everything has arrived.");
    await plantDeliveries(world, id, 2);
    await plantDeliveries(world, id, 1, "'delivered', null, null");
    const said = await cli.text("destinations gaps", id, "--limit", "1");
    expect(said).toMatch(/dlv_\w+\s+item\.error.*scheduled\s+0/);
    const cursor = /more: --cursor (\S+)/.exec(said)?.[1] ?? "";
    const rest = await cli.json<{ data: object[] }>("destinations gaps", id, "--cursor", cursor);
    expect(rest.data).toMatchObject([{ status: "scheduled", destination_id: id }]);
    expect(await cli.refusal("destinations gaps", id, "--limit", "0")).toMatch(/^usage: .*whole number from 1 to 500/);
  });
});

describe("destinations rotate-secret", () => {
  it("`tartan destinations rotate-secret` prints the new key's secret, and keeps the old key for the grace period", async () => {
    const first = await cli.json<Shown>("destinations create https://example.com/rotated --no-route");
    const rotated = await cli.json<Shown>("destinations rotate-secret", first.id, "--grace", "2");
    expect(rotated.signing_secret).toMatch(/^whsec_/);
    expect(rotated.signing_secret).not.toBe(first.signing_secret);
    const { keys, routes } = await cli.json<Shown>("destinations show", first.id);
    expect(keys).toMatchObject([{ expires_at: null }, { expires_at: expect.any(String) as unknown }]);
    expect(routes).toEqual([]);
    const said = await cli.text("destinations rotate-secret", first.id);
    expect(said).toContain("✓ a new key signs; the old one also signs for 24 h");
    expect(said).toMatch(/signing secret\s+whsec_\S+ not shown again/);
    expect(await cli.refusal("destinations rotate-secret", first.id, "--grace", "soon")).toMatch(
      /^invalid_request: .*--grace/,
    );
    expect(await cli.refusal("destinations rotate-secret dst_none")).toMatch(/^not_found: /);
  });
});

describe("destinations test", () => {
  it("`tartan destinations test` sends a signed test event, shows the answer, and fails unless it is 2xx", async () => {
    const receiver = await world.relay.receiver();
    const { id, secret } = await world.relay.destination(receiver);
    receiver.answer = () => ({ status: 202, body: "thanks" });
    expect(await cli.text("destinations test", id)).toMatch(/destination\.test[\s\S]*delivered[\s\S]*#1.*202/);
    const [sent] = receiver.received;
    const headers = sent?.headers as Record<string, string>;
    expect(new Webhook(secret).verify(sent?.body ?? "", headers)).toMatchObject({ data: { test: true } });
    expect(await cli.json("destinations test", id)).toMatchObject({ status: "delivered", attempts: 1 });

    receiver.answer = () => ({ status: 503, body: "not today" });
    const shown = await cli.run("destinations test", id);
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/cancelled[\s\S]*#1.*503 status_503[\s\S]*not today/);
    const refused = await cli.run("destinations test", id, "--json");
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ status: "cancelled", cause: "status_503", attempts: 1 });
    expect(receiver.received).toHaveLength(4);
    expect(await cli.refusal("destinations test dst_none")).toMatch(/^not_found: .*There is no destination dst_none\./);
    expect(receiver.received).toHaveLength(4);
  });
});

describe("destinations delete", () => {
  it("`tartan destinations delete` deletes a destination and cancels its deliveries, only with --yes", async () => {
    const id = await made();
    await plantDeliveries(world, id, 3);
    expect(await cli.refusal("destinations delete", id)).toMatch(
      /^invalid_request: .*This deletes http:\S+ and cancels its 3 waiting deliveries\. Repeat it with --yes\./,
    );
    expect(await world.relay.statuses(id)).toEqual({ scheduled: 3 });
    expect(await cli.text("destinations delete", id, "--yes")).toContain(`${id} is deleted`);
    expect(await world.relay.statuses(id)).toEqual({ cancelled: 3 });
    expect(await cli.refusal("destinations delete", id, "--yes")).toMatch(/^not_found: /);
  });
});

everyVerbIsRun(cli);
