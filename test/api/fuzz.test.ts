import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dispatch } from "./event-support.ts";
import { routesOf } from "./routes.ts";
import { startWorld, type World } from "../support/world/index.ts";

let world: World<"api">;
let known: Record<string, string>;
beforeAll(async () => {
  world = await startWorld({ api: {} });
  const { id } = await world.api.integrate();
  const body = { integration_id: id, item_id: "fuzzed", access_token: "access-sandbox-fuzzed" };
  const linked = await world.api.call("POST /v1/items", { body });
  const { body: destination } = await world.api.call("POST /v1/destinations", {
    body: { url: "https://fuzzed.example.com/" },
  });
  const route = await world.api.call("POST /v1/routes", { body: { destination_id: destination.id } });
  await dispatch(world);
  const [delivery] = (await world.api.call("GET /v1/deliveries")).body.data;
  const replay = { destination_id: destination.id, from: "2020-01-01T00:00:00Z" };
  const job = await world.api.call("POST /v1/replays", { body: replay });
  known = {
    integration: id,
    item: "fuzzed",
    webhook: linked.body.webhook_id,
    destination: destination.id,
    route: route.body.id,
    delivery: delivery.id,
    event: delivery.event_id,
    job: job.body.id,
  };
});
afterAll(() => world[Symbol.asyncDispose]());

const names = [
  "limit",
  "cursor",
  "item_id",
  "user_id",
  "type",
  "code",
  "source",
  "status",
  "integration_id",
  "erase",
  "purge",
  "destination_id",
  "event_id",
  "event_type",
  "cause",
  "types",
  "history",
];
const fields = ["client_id", "secret", "environment", "plaid_url", "webhook_secret", "name", "country_codes", "verify"];
const more = ["item_id", "access_token", "user_id", "integration_id", "resources", "full", "__proto__", "constructor"];
const settings = ["url", "headers", "ca", "timeout_ms", "schedule", "rate_limit", "concurrency", "ordering", "scheme"];
const rules = ["destination_id", "filter", "match", "form", "transform", "enabled", "definition", "since", "limit"];
const bodyFields = ["event_id", "types", "from", "to", "cause", "delivery_ids", "reason", "dry_run", "grace_s"];

it("no request makes the API fail, and every refusal has the same shape", { timeout: 60_000 }, async () => {
  const routes = routesOf(world.api.app).filter((route) => !/^HEAD|\/(metrics|docs|openapi\.json)$/.test(route));
  const text = fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.string({ unit: "binary", maxLength: 10 }),
    fc.constantFrom("", "0", "-1", "true", "1e999"),
  );
  const part = fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...Object.keys(known)) }, text);
  const query = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...names, "__proto__", "toString"), text), text), {
    maxLength: 3,
  });
  const object = fc.dictionary(
    fc.constantFrom(...fields, ...more, ...settings, ...rules, ...bodyFields),
    fc.oneof(fc.jsonValue(), text, fc.constantFrom(...Object.values(known))),
    { maxKeys: 6 },
  );
  const body = fc.oneof(object, fc.jsonValue(), fc.string());
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      part,
      query,
      fc.option(body, { nil: undefined }),
      async (route, id, pairs, sent) => {
        const [method = "", pattern = ""] = route.split(" ");
        const path = pattern.replaceAll(/:\w+/g, () =>
          encodeURIComponent((method !== "DELETE" && known[id]) || id || "x"),
        );
        const search = new URLSearchParams(pairs);
        const withBody = method === "GET" || sent === undefined ? {} : { body: sent };
        const { status, body: answer, text } = await world.api.call(`${method} ${path}?${search}`, withBody);
        // The item's token is none of the simulator's, so Plaid refuses it.
        const isPlaids = status === 502 && answer.error.code === "plaid_error";
        expect([route, status, status < 500 || isPlaids || text]).toEqual([route, status, true]);
        if (status >= 400)
          expect(answer.error).toMatchObject({ code: expect.any(String), message: expect.any(String) });
      },
    ),
    { numRuns: 1200 },
  );
});
