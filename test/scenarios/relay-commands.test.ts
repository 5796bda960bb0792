/**
 * The relay as a user meets it: real processes, receivers that were written for it or for Plaid, and a simulated Plaid.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { startExample } from "../support/example.ts";
import { runTartan, startTartan, type TartanProcess } from "../support/process.ts";
import { startReceiver, type Received } from "../support/receiver.ts";
import { ADMIN_KEY, startWorld, type Item, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

const env = { TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1", TARTAN_RELAY_ALLOW_HTTP: "true" };

// Each command is a process of its own, and on a busy machine there are many.
vi.setConfig({ testTimeout: 120_000 });

let world: World<"integration" | "processes">;
let server: TartanProcess;
let item: Item;

beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "relay-commands" }, integration: {}, processes: { env } });
  server = await world.processes.start(["up"]);
  [item] = world.integration.makeItemsFor(server, 1) as [Item];
  expect((await world.integration.linkAt(server, item, "user-1")).status).toBe(200);
  await until("the first sync", async () => (await mirrored()) >= 30);
});
afterAll(() => world[Symbol.asyncDispose]());

const tartan = (...args: string[]) => world.processes.run(args);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await tartan(...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

interface Destination {
  id: string;
  signing_secret: string;
}
interface Page {
  data: { id: string; event_id: string; status: string; last_status: number | null }[];
}

async function mirrored(): Promise<number> {
  const { rows } = await world.database.query<{ count: number }>(
    "select count(*)::int as count from plaid.current_transactions",
  );
  return rows[0]?.count ?? 0;
}

/** Changes the item's transactions at Plaid, and waits until the mirror knows. */
async function change(request: { add?: number; modify?: number; remove?: number }): Promise<void> {
  const before = await syncs();
  await world.simulator.control.changeTransactions(item.item_id, request);
  await until("the change is synced", async () => (await syncs()) > before && (await served()));
}

async function syncs(): Promise<number> {
  const { rows } = await world.database.query<{ count: number }>(
    "select count(*)::int as count from events.events where type = 'transactions.changed'",
  );
  return rows[0]?.count ?? 0;
}

async function served(): Promise<boolean> {
  const { rows } = await world.database.query("select from journal.webhooks where processed_at is null");
  return rows.length === 0;
}

/** The official library's word on a delivery; throws unless it is signed. */
const verify = (secret: string, { body, headers }: Received): unknown =>
  new Webhook(secret).verify(body, headers as Record<string, string>);

describe("a handler that was written for Plaid", () => {
  it("a handler that was written for Plaid works unchanged behind Tartan and verifies Plaid's own signature", async () => {
    await using handler = await startExample("plaid-handler.ts", {
      PLAID_URL: world.simulator.url,
      PLAID_CLIENT_ID: world.simulator.clientId,
      PLAID_SECRET: world.simulator.secret,
    });
    const url = `${handler.url}/plaid/webhook`;
    const forged = await fetch(url, { method: "POST", headers: { "plaid-verification": "e30.e30.e30" }, body: "{}" });
    expect(forged.status).toBe(401);

    const destination = await json<Destination>("destinations", "create", url, "--original");
    await change({ add: 3 });
    const line = `TRANSACTIONS/SYNC_UPDATES_AVAILABLE of item ${item.item_id}`;
    await until("the handler took the webhook", async () => handler.lines.includes(line));
    const arrived = async () => (await json<Page>("deliveries", "list", "--destination", destination.id)).data;
    await until("its 200 is noted", async () => (await arrived()).every(({ status }) => status === "delivered"));
    for (const { last_status } of await arrived()) expect(last_status).toBe(200);
    expect((await json<Page>("destinations", "gaps", destination.id)).data).toEqual([]);
    await tartan("destinations", "delete", destination.id, "--yes");
  });
});

describe("the receivers of the docs", () => {
  it.each(["express.ts", "fastify.ts"])("the docs' %s handles a signed event once, and no other", async (file) => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
    await using receiver = await startExample(file, { TARTAN_SIGNING_SECRET: secret });
    const url = `${receiver.url}/webhooks/tartan`;
    const headers = { "content-type": "application/json", "webhook-id": "evt_1", "webhook-signature": "v1,AAAA" };
    const forged = { ...headers, "webhook-timestamp": String(Math.floor(Date.now() / 1000)) };
    expect((await fetch(url, { method: "POST", headers: forged, body: "{}" })).status).toBe(401);

    const types = ["--events", "transactions.changed"];
    const destination = await json<Destination>("destinations", "create", url, "--secret", secret, ...types);
    await change({ add: 1 });
    await until("the event arrived", async () => receiver.lines.some((line) => line.includes(item.item_id)));
    const lines = receiver.lines.length;

    const [{ id, event_id }] = (await json<Page>("deliveries", "list", "--destination", destination.id)).data as [
      Page["data"][number],
    ];
    await json("replay", "--destination", destination.id, "--event", event_id, "--yes", "--follow");
    const attempts = async () =>
      (await json<{ log: { status: number }[] }>("deliveries", "show", id)).log.map(({ status }) => status);
    await until("the replay arrived", async () => (await attempts()).length === 2);
    expect(await attempts()).toEqual([204, 204]);
    expect(receiver.lines).toHaveLength(lines);
    await tartan("destinations", "delete", destination.id, "--yes");
  });
});

describe("an agent", () => {
  it("a matcher and a transform send an agent only the rows that it needs, as the preview showed", async () => {
    await using receiver = await startReceiver();
    const request = ["--events", "transactions.changed", "--match", '{"counts.added": {"$gte": 2}}'];
    const transform = '{"user": user_id, "rows": [data.added.{"id": transaction_id, "amount": amount}]}';
    await change({ add: 2 });
    const preview = await json<{ matched: number; failed: number; samples: { body: string }[] }>(
      "routes",
      "preview",
      ...request,
      "--transform",
      transform,
    );
    expect(preview).toMatchObject({ failed: 0 });
    expect(preview.matched).toBeGreaterThanOrEqual(1);
    expect(JSON.parse(preview.samples[0]?.body ?? "")).toMatchObject({ user: "user-1" });

    const made = await json<Destination>("destinations", "create", receiver.url, ...request, "--transform", transform);
    await change({ add: 1 });
    await change({ add: 3 });
    await until("the agent got the event", async () => receiver.received.length > 0);
    const [received] = receiver.received as [Received];
    const { user, rows } = verify(made.signing_secret, received) as {
      user: string;
      rows: { id: string; amount: number }[];
    };
    expect(user).toBe("user-1");
    expect(rows).toHaveLength(3);
    const truth = world.simulator.control.transactions(item.item_id).transactions;
    for (const { id, amount } of rows) {
      expect(truth.find(({ transaction_id }) => transaction_id === id)?.amount).toBe(amount);
    }
    expect(receiver.received).toHaveLength(1);

    // What happened before the route is not lost to it, nor sent twice.
    const routes = await json<{ data: [{ id: string }] }>("routes", "list", "--destination", made.id);
    const route = routes.data[0].id;
    await json("routes", "route-past", route, "--since", "1h", "--yes", "--follow");
    await until("the past events arrived", async () => receiver.received.length >= 1 + preview.matched);
    const ids = receiver.received.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    await tartan("destinations", "delete", made.id, "--yes");
  });
});

describe("a receiver that was down", () => {
  it("a paused destination misses nothing: its deliveries are held, listed, and sent in order when it is resumed", async () => {
    await using receiver = await startReceiver();
    const types = ["--events", "transactions.changed", "--ordering", "per_item"];
    const made = await json<Destination>("destinations", "create", receiver.url, ...types);
    expect((await tartan("destinations", "pause", made.id)).stdout).toContain("held");
    for (const add of [1, 2, 3]) await change({ add });
    const gaps = async () => (await json<Page>("destinations", "gaps", made.id)).data;
    await until("the changes are held", async () => (await gaps()).length === 3);
    expect((await gaps()).map(({ status }) => status)).toEqual(["held", "held", "held"]);
    expect((await tartan("destinations", "list")).stdout).toMatch(/paused\s+3/);
    expect(receiver.received).toEqual([]);

    await tartan("destinations", "resume", made.id);
    await until("all arrived", async () => (await gaps()).length === 0);
    const events = receiver.received.map((received) => verify(made.signing_secret, received));
    expect(events).toMatchObject([1, 2, 3].map((added) => ({ data: { counts: { added } } })));
    await tartan("destinations", "delete", made.id, "--yes");
  });

  it("a redrive sends dead letters again with the same id and the same bytes", async () => {
    await using receiver = await startReceiver();
    receiver.answer = () => ({ status: 500, body: "the database is away" });
    const once = ["--events", "transactions.changed", "--schedule", "1"];
    const made = await json<Destination>("destinations", "create", receiver.url, ...once);
    await change({ add: 1 });
    const given = ["--destination", made.id];
    const groups = async () => (await json<{ data: unknown[] }>("dead-letters", ...given)).data;
    await until("it was given up", async () => (await groups()).length === 1);
    expect(await groups()).toMatchObject([{ cause: "status_500", count: 1, replayable: 1 }]);
    const [dead] = (await json<Page>("dead-letters", "list", ...given)).data as [Page["data"][number]];
    const shown = (await tartan("deliveries", "show", dead.id)).stdout;
    expect(shown).toMatch(/#1.*500 status_500[\s\S]*the database is away[\s\S]*#2.*500 status_500/);

    receiver.answer = () => ({});
    const refused = await tartan("dead-letters", "redrive", ...given);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/This sends 1 dead letter again.*--yes/);
    expect((await tartan("dead-letters", "redrive", ...given, "--dry-run")).stdout).toContain("1 dead letter");
    const job = await json<{ id: string; status: string; changed: number }>(
      "dead-letters",
      "redrive",
      ...given,
      "--yes",
      "--follow",
      "--reason",
      "the database is back",
    );
    expect(job).toMatchObject({ status: "done", changed: 1 });
    await until("it arrived", async () => receiver.received.length === 3);
    const [first, , last] = receiver.received as [Received, Received, Received];
    expect(last.body.equals(first.body)).toBe(true);
    expect(last.id).toBe(first.id);
    expect(last.headers["webhook-replay"]).toBe(job.id);
    verify(made.signing_secret, last);
    await until("nothing is given up any more", async () => (await groups()).length === 0);
    expect((await tartan("jobs", "list")).stdout).toContain("the database is back");
    await tartan("destinations", "delete", made.id, "--yes");
  });
});

describe("listening", () => {
  const secret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
  /** `tartan listen`, once it says that it forwards */
  const listen = (to: string, args: string[], more: Record<string, string> = world.processes.env) =>
    startTartan(more, ["listen", "--forward-to", to, "--secret", secret, ...args], (line) =>
      line.includes("forwarding to") ? to : null,
    );

  it("`tartan listen` forwards signed events and prints each answer until Ctrl-C", async () => {
    await using receiver = await startReceiver();
    receiver.answer = () => ({ status: 418 });
    await using listening = await listen(receiver.url, ["--types", "transactions.changed"]);
    await change({ modify: 1 });
    await until("it was forwarded", async () =>
      listening.output.some((line) => /transactions\.changed.*418 \d+ ms/.test(line)),
    );
    expect(verify(secret, receiver.received[0] as Received)).toMatchObject({
      type: "transactions.changed",
      data: { counts: { modified: 1 } },
    });
    expect(await listening.stop()).toBe(0);
  });

  it("`tartan listen --url` forwards Plaid's webhooks as Plaid sent them, also after a lost connection", async () => {
    await using handler = await startExample("plaid-handler.ts", {
      PLAID_URL: world.simulator.url,
      PLAID_CLIENT_ID: world.simulator.clientId,
      PLAID_SECRET: world.simulator.secret,
    });
    const remote = await world.processes.start(["up", "--only", "api"]);
    const port = new URL(remote.url).port;
    const args = ["--original", "--json", "--url", remote.url, "--key", ADMIN_KEY];
    await using listening = await listen(`${handler.url}/plaid/webhook`, args, {});
    const answers = () =>
      listening.output.flatMap((line) =>
        line.startsWith("{") ? [JSON.parse(line) as { id: string; status: number }] : [],
      );
    // What happens before it has asked where the events end is not for it.
    await until("it is forwarded", async () => {
      if (answers().length === 0) await change({ modify: 1 });
      return answers().length > 0;
    });
    await remote.kill9();
    for (let n = 0; n < 5; n += 1) await change({ modify: 1 });
    await using _again = await world.processes.start(["up", "--only", "api"], { TARTAN_PORT: port });
    const { rows } = await world.database.query<{ id: string }>(
      "select 'evt_' || replace(id::text, '-', '') as id from journal.webhooks where source = 'PLAID' order by id",
    );
    const ids = rows.map(({ id }) => id);
    const expected = ids.slice(ids.indexOf(answers()[0]?.id ?? "")).map((id) => ({ id, status: 200 }));
    await until("what happened meanwhile is forwarded", async () => answers().length >= expected.length);
    expect(answers()).toMatchObject(expected);
    expect(handler.lines.at(-1)).toBe(`TRANSACTIONS/SYNC_UPDATES_AVAILABLE of item ${item.item_id}`);
    expect(await listening.stop()).toBe(0);
  });

  it("`tartan listen --url` with a wrong key is refused in a sentence", async () => {
    const { code, stderr } = await runTartan({}, [
      "listen",
      "--forward-to",
      "http://127.0.0.1:9/",
      "--url",
      server.url,
      "--key",
      "wrong",
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/--key.*\[unauthorized\]/s);
  });
});

describe("commands refuse", () => {
  const refusals: [args: string[], says: RegExp][] = [
    [["destinations", "create", "https://10.0.0.1/hook"], /TARTAN_RELAY_ALLOWED_ADDRESSES/],
    [["destinations", "create", "https://example.com", "--events", "nonsense"], /nonsense|types/],
    [["destinations", "create", "https://example.com", "--transform", "(("], /transform/],
    [["destinations", "create", "https://example.com", "--header", "host: x"], /host/i],
  ];

  it.each(refusals)("the command tartan %j is refused with what to fix", async (args, says) => {
    const { code, stderr, stdout } = await tartan(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(says);
    expect(stderr).not.toContain("    at ");
    expect(stdout).toBe("");
  });

  it("creating a destination with an invalid route leaves no destination behind", async () => {
    const urls = (await json<{ data: { url: string }[] }>("destinations", "list")).data.map(({ url }) => url);
    expect(urls.filter((url) => url.includes("example.com"))).toEqual([]);
  });
});
