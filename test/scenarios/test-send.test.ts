/** Commands that try a receiver out: one test event now, and what happens from now on until its cursor has expired. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { runTartan, startTartan } from "../support/process.ts";
import { startReceiver, type Receiver } from "../support/receiver.ts";
import { ADMIN_KEY, openStage, type Stage } from "../support/stage.ts";

// Each command is a process of its own, and on a busy machine there are many.
vi.setConfig({ testTimeout: 120_000 });

let stage: Stage;
let receiver: Receiver;
const closer = new Closer();
beforeAll(async () => {
  stage = closer.use(await openStage({ seed: "test-send" }));
  receiver = closer.use(await startReceiver());
});
afterAll(() => closer[Symbol.asyncDispose]());

const LOOPBACK = { TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1", TARTAN_RELAY_ALLOW_HTTP: "true" };
const env = () => ({ ...stage.env, ...LOOPBACK });
const tartan = (...args: string[]) => runTartan(env(), args);

describe("tartan destinations test", () => {
  it("`tartan destinations test` sends a signed test event, shows the answer, and fails unless it is 2xx", async () => {
    const created = await tartan("destinations", "create", receiver.url, "--json");
    const { id, signing_secret } = JSON.parse(created.stdout) as { id: string; signing_secret: string };

    receiver.answer = () => ({ status: 202, body: "thanks" });
    const taken = await tartan("destinations", "test", id);
    expect(taken.code, taken.stderr).toBe(0);
    expect(taken.stdout).toMatch(/destination\.test[\s\S]*delivered[\s\S]*#1.*202/);
    const [sent] = receiver.received;
    const headers = sent?.headers as Record<string, string>;
    expect(new Webhook(signing_secret).verify(sent?.body ?? "", headers)).toMatchObject({ data: { test: true } });

    receiver.answer = () => ({ status: 503, body: "not today" });
    const shown = await tartan("destinations", "test", id);
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/cancelled[\s\S]*#1.*503 status_503[\s\S]*not today/);
    const refused = await tartan("destinations", "test", id, "--json");
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ status: "cancelled", cause: "status_503", attempts: 1 });
    expect(receiver.received).toHaveLength(3);
  });

  it("`tartan destinations test` with an unknown id sends nothing and says so", async () => {
    const { code, stdout, stderr } = await tartan("destinations", "test", "dst_none");
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/There is no destination dst_none\..*\[not_found\]/);
  });
});

describe("tartan listen", () => {
  /** As the sweep leaves it when it has forgotten everything up to far behind what is there. */
  const forgetAhead = () =>
    stage.database.query(
      `insert into events.forgotten (position, events) values (1000000, 1)
      on conflict (only_one) do update set position = excluded.position, events = excluded.events`,
    );
  const listening = async (args: string[], more: Record<string, string>) =>
    await startTartan(more, ["listen", "--forward-to", receiver.url, ...args], (line) =>
      line.includes("forwarding to") ? receiver.url : null,
    );

  it.each(["the database", "a Tartan elsewhere"])(
    "`tartan listen` to %s ends with status 1 and says what to do when events that it has not forwarded were deleted",
    async (where) => {
      await using server = await startTartan(env(), ["up", "--only", "api"]);
      const remote = where === "the database" ? [] : ["--url", server.url, "--key", ADMIN_KEY];
      await using listens = await listening(remote, remote.length > 0 ? {} : env());
      try {
        await forgetAhead();
        const code = await new Promise<number | null>((resolve) => listens.child.once("exit", resolve));
        const said = listens.output.join("\n");
        expect(code, said).toBe(1);
        expect(said).toMatch(/have been deleted\. Run the command again.*\[cursor_expired\]/s);
        expect(said).not.toContain("    at ");
        expect(said).not.toContain("cursor=start");
      } finally {
        await stage.database.query("delete from events.forgotten");
      }
    },
  );
});
