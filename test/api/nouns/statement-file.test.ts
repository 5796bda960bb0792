/** The file of a statement, from Plaid through the API to its caller. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { mirroredStatement } from "../../support/statement.ts";
import { startWorld, type Item, type World } from "../../support/world/index.ts";

let world: World<"api" | "integration">;
let item: Item;
let statement: string;
beforeAll(async () => {
  world = await startWorld({ api: {}, integration: {} });
  [item] = world.integration.makeItems(1, 1, { products: ["statements"] }) as [Item];
  await world.integration.link(item);
  statement = await mirroredStatement(world, item.item_id);
});
afterAll(() => world[Symbol.asyncDispose]());

const fetchFile = (id = statement, more = "") =>
  world.api.call(`GET /v1/items/${item.item_id}/statements/${id}/file${more}`);
const asked = () => world.simulator.asked("/statements/download");

it("the file of a statement comes as Plaid has it, with a name, and the audit log says who fetched which and why", async () => {
  const { status, headers, text } = await fetchFile(statement, "?reason=a%20dispute");
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("application/pdf");
  expect(headers.get("content-disposition")).toMatch(/^attachment; filename="statement-\d{4}-\d\d(-\w+)?\.pdf"$/);
  expect(Number(headers.get("content-length"))).toBe(text.length);
  expect(text).toMatch(/^%PDF-1\.4[^]*%%EOF\n$/);
  expect(text).toContain(statement);
  const { body } = await world.api.call("GET /v1/audit?action=statement.fetched");
  expect(body.data).toMatchObject([
    {
      actor: "admin key",
      target: item.item_id,
      integration_id: world.integration.id,
      reason: "a dispute",
      details: { statement_id: statement },
    },
  ]);
});

it("a statement that the mirror does not list is refused without a request to Plaid", async () => {
  const before = asked();
  expect(await fetchFile("another")).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
  const path = `GET /v1/items/no-such-item/statements/${statement}/file`;
  expect(await world.api.call(path)).toMatchObject({ status: 404 });
  expect(asked()).toBe(before);
});

it("an error of Plaid's is answered as Tartan's, a rate limit with the time to wait, and neither is in the audit log", async () => {
  const { control } = world.simulator;
  control.addFault({ kind: "institution_down", endpoint: "/statements/download", count: 1 });
  const refused = await fetchFile();
  expect(refused).toMatchObject({ status: 502, body: { error: { code: "plaid_error" } } });
  expect(refused.text).toContain("INSTITUTION_DOWN");
  control.addFault({ kind: "server_error", endpoint: "/statements/download", body: "html", count: 1 });
  expect(await fetchFile()).toMatchObject({ status: 502, body: { error: { code: "plaid_unreachable" } } });
  control.addFault({ kind: "rate_limit", endpoint: "/statements/download", count: 1 });
  const limited = await fetchFile();
  expect(limited).toMatchObject({ status: 503, body: { error: { code: "overloaded" } } });
  expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
  const { body } = await world.api.call("GET /v1/audit?action=statement.fetched");
  expect(body.data).toHaveLength(1);
});

it("a file that breaks off at Plaid breaks off here or is an error, so that nobody takes a part for the whole", async () => {
  world.simulator.control.addFault({
    kind: "connection_cut",
    endpoint: "/statements/download",
    after_bytes: 100,
    count: 1,
  });
  // What the refusal before slowed down is over.
  await world.database.query("delete from sync.rate_limits");
  // An error where nothing of the file was sent yet.
  const answer = await fetchFile().catch(() => "broken off");
  expect(["broken off", { status: 502, code: "plaid_unreachable" }]).toContainEqual(
    typeof answer === "string" ? answer : { status: answer.status, code: answer.body.error?.code },
  );
});
