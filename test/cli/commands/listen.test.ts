import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { dispatchAll } from "../../relay/past.ts";
import type { Receiver } from "../../support/receiver.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { ADMIN_KEY, startWorld, type World } from "../../support/world/index.ts";
import { until } from "../../support/until.ts";

// Each command is a process of its own, and on a busy machine there are many.
vi.setConfig({ testTimeout: 120_000 });

let world: World<"relay" | "processes">;
let receiver: Receiver;
beforeAll(async () => {
  world = await startWorld({ relay: {}, processes: {} });
  receiver = await world.relay.receiver();
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("listen", () => world.processes.env);
/** A command line that knows only what its options say. */
const elsewhere = new CommandLine("listen");
const forwarding = (line: string) => (line.includes("forwarding to") ? line : null);
const secret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;

it.each([
  ["as a line", [], /item\.error\s+item-2\s+418 \d+ ms/],
  ["as JSON", ["--json"], /^\{"id":"evt_\w+","type":"item\.error","item_id":"item-2","status":418,/],
])("`tartan listen` posts each new event, signed, and prints the answer %s until Ctrl-C", async (_, form, answer) => {
  receiver.received.length = 0;
  receiver.answer = () => ({ status: 418 });
  const options = ["--forward-to", receiver.url, "--secret", secret, "--events", "item.*", "--item", "item-2"];
  await using listens = await cli.start(forwarding, "listen", ...options, ...form);
  for (const itemId of ["item-1", "item-2"]) await world.relay.event({ type: "item.error", itemId });
  await dispatchAll(world.database);
  await until("the answer was printed", async () => listens.output.some((line) => answer.test(line)));
  const [received, ...others] = receiver.received;
  expect(others).toEqual([]);
  const headers = received?.headers as Record<string, string>;
  expect(new Webhook(secret).verify(received?.body ?? "", headers)).toMatchObject({
    type: "item.error",
    item_id: "item-2",
  });
  expect(await listens.stop()).toBe(0);
});

it("`tartan listen` refuses what it cannot forward to, what does not exist, and a remote Tartan without its key", async () => {
  expect(await cli.refusal("listen")).toMatch(/^usage: .*--forward-to/);
  expect(await cli.refusal("listen --forward-to nowhere")).toMatch(
    /^invalid_request: .*--forward-to does not accept nowhere/,
  );
  expect(await cli.refusal(`listen --forward-to ${receiver.url} --events item.eror`)).toMatch(
    /^invalid_request: .*did you mean item\.error\?/s,
  );
  const remote = await elsewhere.refusal(`listen --forward-to ${receiver.url} --url http://127.0.0.1:1`);
  expect(remote).toMatch(/^invalid_request: .*needs its API key[\s\S]*TARTAN_ADMIN_KEY/);
});

/** As the sweep leaves it when it has forgotten everything up to far behind what is there. */
const forgetAhead = () =>
  world.database.query(
    `insert into events.forgotten (position, events) values (1000000, 1)
    on conflict (only_one) do update set position = excluded.position, events = excluded.events`,
  );

it.each(["the database", "a Tartan elsewhere"])(
  "`tartan listen` to %s ends with status 1 and says what to do when events that it has not forwarded were deleted",
  async (where) => {
    await using server = await world.processes.start(["up", "--only", "api"]);
    const isLocal = where === "the database";
    const remote = isLocal ? [] : ["--url", server.url, "--key", ADMIN_KEY];
    const line = isLocal ? cli : elsewhere;
    await using listens = await line.start(forwarding, "listen --forward-to", receiver.url, ...remote);
    try {
      await forgetAhead();
      const code = await new Promise<number | null>((resolve) => listens.child.once("exit", resolve));
      const said = listens.output.join("\n");
      expect(code, said).toBe(1);
      expect(said).toMatch(/have been deleted\. Run the command again.*\[cursor_expired\]/s);
      expect(said).not.toContain("    at ");
      expect(said).not.toContain("cursor=start");
    } finally {
      await world.database.query("delete from events.forgotten");
    }
  },
);

everyVerbIsRun(cli);
