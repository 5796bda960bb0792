import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newUuid } from "../../../src/model/ids.ts";
import { markDue } from "../../../src/sync/marks.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"api">;
beforeAll(async () => {
  world = await startWorld({ api: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const open = (path: string) => world.api.call(`GET ${path}`, { key: null });

it("the probes, the metrics and the reference need no API key", async () => {
  for (const path of ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs"])
    expect([path, (await open(path)).status]).toEqual([path, 200]);
});

it("the process is alive and ready", async () => {
  expect((await open("/livez")).body).toEqual({ status: "ok" });
  expect((await open("/readyz")).body).toMatchObject({ status: "ready", reasons: [] });
});

it("probes leave no log line", async () => {
  const before = world.api.logged.length;
  await Promise.all(["/livez", "/readyz", "/metrics"].map(open));
  expect(world.api.logged).toHaveLength(before);
});

describe("/readyz is 503, with the reason, and /livez stays 200", () => {
  it("/readyz is 503 with the reason when the schema is older than this version, and /livez stays 200", async () => {
    await using old = await startWorld({ api: {} });
    await old.database.query(
      "delete from tartan_meta.migrations where version = (select max(version) from tartan_meta.migrations)",
    );
    const answer = await old.api.call("GET /readyz");
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({ status: "not_ready", reasons: [expect.stringContaining("tartan migrate")] });
    expect((await old.api.call("GET /livez")).status).toBe(200);
  });

  it("/readyz is 503 with the reason when other files than this version's made the schema, and /livez stays 200", async () => {
    await using old = await startWorld({ api: {} });
    await old.database.query("update tartan_meta.migrations set name = '0001_integrations' where version = 1");
    const { status, body } = await old.api.call("GET /readyz");
    expect([status, body.reasons]).toEqual([503, [expect.stringContaining("before its first release")]]);
  });

  it("/readyz is 503 with the reason when a newer version made a breaking change, and not after another change", async () => {
    await using newer = await startWorld({ api: {} });
    const add = (version: number, breaking: boolean) =>
      newer.database.query("insert into tartan_meta.migrations values ($1, $2, '', $3, now())", [
        version,
        `${version}_new`,
        breaking,
      ]);
    await add(9998, false);
    expect((await newer.api.call("GET /readyz")).status).toBe(200);
    await add(9999, true);
    const reasons = async () => (await newer.api.call("GET /readyz")).body.reasons;
    await expect.poll(reasons).toEqual([expect.stringContaining("9999_new")]);
  });

  it("/readyz is 503 while Postgres is down, and /metrics answers without a queue that would look empty", async () => {
    await using cut = await startWorld({ api: {} });
    await cut.database[Symbol.asyncDispose]();
    const answer = await cut.api.call("GET /readyz");
    expect([answer.status, answer.body.status, answer.body.reasons.length]).toEqual([503, "not_ready", 1]);
    expect((await cut.api.call("GET /livez")).status).toBe(200);
    const metrics = await cut.api.call("GET /metrics");
    expect(metrics.status).toBe(200);
    expect(metrics.text).toContain("tartan_subjects_due Nan");
  });
});

it("/metrics shows the queue at the scrape, in Prometheus' format, and the API's requests by route", async () => {
  const { id } = await world.api.integrate();
  await markDue(world.database, [{ integrationId: id, kind: "item", id: newUuid() }]);
  await world.api.call("GET /v1/items/some-item");
  const { text, headers } = await open("/metrics");
  expect(headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(text).toMatch(/^tartan_subjects_due 1$/m);
  expect(text).toMatch(
    /tartan_api_request_seconds_count\{method="GET",route="\/v1\/items\/:item_id",status="404"\} \d+/,
  );
  expect(text).toContain("process_cpu_seconds_total");
  expect(text).not.toContain("some-item");
});

it("/v1/status shows what waits, the subjects by status, and this process", async () => {
  const { status, body } = await world.api.call("GET /v1/status");
  expect(status).toBe(200);
  expect(body).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    schema_version: expect.any(Number),
    roles: ["receiver", "sync", "api"],
    queue: { due: expect.any(Number), subjects: expect.any(Object) },
    spool: null,
  });
});
