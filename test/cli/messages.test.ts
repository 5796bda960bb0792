/** What the command line says to somebody who mistyped something: one sentence that names the option and what it takes. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"integration" | "processes">;

beforeAll(async () => {
  world = await startWorld({ simulator: { seed: "messages" }, integration: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

/** What the command says on stderr, which must be a refusal and no stack. */
async function refusal(...args: string[]): Promise<string> {
  const { code, stderr } = await world.processes.run(args);
  expect(code, stderr).toBe(1);
  expect(stderr).not.toMatch(/^\s+at /m);
  return stderr;
}

const times = (text: string, part: string): number => text.split(part).length - 1;

describe("a number that is none", () => {
  it.each([
    [["simulate", "--port", "abc"], "--port", "from 0 to 65535"],
    [["simulate", "--port", "70000"], "--port", "from 0 to 65535"],
    [["simulate", "--activity", "often"], "--activity", "from 10 to"],
    [["demo", "--items", "none"], "--items", "from 1 to"],
    [["items", "list", "--limit", "abc"], "--limit", "from 1 to 500"],
    [["webhooks", "list", "--limit", "0"], "--limit", "from 1 to 500"],
    [["events", "list", "--limit", "1.5"], "--limit", "from 1 to 500"],
    [["routes", "preview", "--limit", "-1"], "--limit", "from 1 to 5000"],
  ])("the number %j is refused with the option and its range", async (args, option, range) => {
    const said = await refusal(...args);
    expect(said).toContain(option);
    expect(said).toContain(`whole number ${range}`);
  });

  it("an environment variable that is not a number is refused with its name and its range", async () => {
    const { code, stderr } = await world.processes.run(["up"], { TARTAN_PORT: "abc" });
    expect(code).toBe(1);
    expect(stderr).toContain("TARTAN_PORT: must be a whole number from 0 to 65535");
  });
});

describe("a name that does not exist", () => {
  it("an unknown event name is answered with the one that was meant, not with the whole list", async () => {
    for (const args of [
      ["destinations", "create", "https://example.com/hook", "--events", "trasactions.changed"],
      ["events", "list", "--events", "trasactions.changed"],
      ["listen", "--forward-to", "http://127.0.0.1:9", "--events", "trasactions.changed"],
    ]) {
      const said = await refusal(...args);
      expect(said).toContain("did you mean transactions.changed?");
      expect(said).not.toContain("relay.overdue");
    }
  });

  it("an unknown name is reported once, not in the message and again below it", async () => {
    const said = await refusal("destinations", "create", "ftp://example.com");
    expect(times(said, "must be an https URL")).toBe(1);
  });

  it("an unknown environment is answered with the known ones, and Production means production", async () => {
    const create = ["integrations", "create", "plaid_item_v1", "--client-id", "a", "--secret", "b", "--no-check"];
    for (const wrong of ["prod", "", "https://sandbox.plaid.com"]) {
      expect(await refusal(...create, "--environment", wrong)).toContain("must be sandbox or production");
    }
    const { code, stdout } = await world.processes.run([...create, "--environment", "Production", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ environment: "production" });
  });
});

it("an integration whose --plaid-url is not a URL is refused before Plaid is asked", async () => {
  const create = ["integrations", "create", "plaid_item_v1", "--client-id", "a", "--secret", "b"];
  const said = await refusal(...create, "--environment", "sandbox", "--plaid-url", "nonsense");
  expect(said).toContain("plaid_url must be an http or https URL");
});

it("listen says that it forwards only after the server has accepted its key", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(401, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { code: "unauthorized", message: "This API key is not known." } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const said = await refusal("listen", "--forward-to", "http://127.0.0.1:9", "--url", url, "--key", "wrong");
    expect(said).toContain("This API key is not known");
    expect(said).not.toContain("forwarding");
    expect(said).not.toContain("whsec_");
  } finally {
    server.close();
  }
});

it("every list prints {data, next_cursor} with --json", async () => {
  for (const args of [["integrations", "list"], ["destinations", "list"], ["routes", "list"], ["dead-letters"]]) {
    const { code, stdout } = await world.processes.run([...args, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ data: expect.any(Array), next_cursor: null });
  }
});

it("config shows the values of this environment, and no secret", async () => {
  const secret = "a-secret-admin-key-of-the-test";
  const env = { TARTAN_PORT: "4499", TARTAN_ADMIN_KEY: secret };
  const { code, stdout } = await world.processes.run(["config", "--json"], env);
  expect(code).toBe(0);
  const options = JSON.parse(stdout) as { env: string; value: string; set: boolean; default: string }[];
  const of = (name: string) => options.find((each) => each.env === name);
  expect(of("TARTAN_PORT")).toMatchObject({ value: "4499", set: true, default: "4400" });
  expect(of("TARTAN_HOST")).toMatchObject({ value: "127.0.0.1", set: false });
  expect(stdout).not.toContain(secret);
  expect(stdout).not.toContain(world.databaseUrl);
});

describe("log lines", () => {
  it("log lines are JSON without a terminal, and text on request", async () => {
    const json = await world.processes.start(["up"]);
    await json.stop();
    expect(
      json.output.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as unknown),
    ).toContainEqual(expect.objectContaining({ level: "info", msg: "tartan is up" }));
    const ready = (line: string) => /tartan is up.*"url":"([^"]+)"/.exec(line)?.[1] ?? null;
    const text = await world.processes.start(["up", "--log-format", "text"], {}, ready);
    await text.stop();
    expect(text.output.join("\n")).toMatch(/\d\d:\d\d:\d\d.* INFO: tartan is up/);
    expect(text.output.filter((line) => line.startsWith("{"))).toEqual([]);
  });

  it("`tartan up` prints the next command to run", async () => {
    const up = await world.processes.start(["up"]);
    expect(up.output.join("\n")).toMatch(/next\s+npx tartan status/);
    await up.stop();
  });
});
