/** Looking after deliveries and jobs by commands, as an operator does, while a server sends. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { startWorld, type World } from "../support/world/index.ts";
import { until } from "../support/until.ts";

// Each command is a process of its own, and on a busy machine there are many.
vi.setConfig({ testTimeout: 120_000 });

const env = { TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1", TARTAN_RELAY_ALLOW_HTTP: "true" };

let world: World<"integration" | "processes">;

beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "relay-upkeep" }, integration: {}, processes: { env } });
});
afterAll(() => world[Symbol.asyncDispose]());

const tartan = (...args: string[]) => world.processes.run(args);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await tartan(...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

interface Shown {
  id: string;
}

describe("deliveries and jobs", () => {
  it("deliveries and jobs can be held, cancelled, replayed, paused and followed to their end", async () => {
    const server = await world.processes.start(["up"]);
    await using receiver = await startReceiver();
    const { id: to } = await json<Shown>("destinations", "create", receiver.url, "--events", "item.linked");
    await tartan("destinations", "pause", to);
    const items = world.integration.makeItemsFor(server, 2);
    for (const each of items) await world.integration.linkAt(server, each);
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
