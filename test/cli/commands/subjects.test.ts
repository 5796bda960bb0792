import { afterAll, beforeAll, expect, it } from "vitest";
import { requestSubjectSync } from "../../../src/sync/subjects.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";
import { startWorld, type World } from "../../support/world/index.ts";

let world: World<"sync" | "processes">;
beforeAll(async () => {
  world = await startWorld({ sync: {}, processes: {} });
});
afterAll(() => world[Symbol.asyncDispose]());

const cli = new CommandLine("subjects", () => world.processes.env);

it("`tartan subjects add` makes a subject known, and `sync` brings it up to date", async () => {
  expect(await cli.text("subjects list")).toContain("There is no subject yet: Plaid's webhooks make them known");
  const { id } = world.integration;
  expect(await cli.text("subjects add institution ins_109508 --integration", id, "--user", "ann")).toContain(
    "✓ institution ins_109508 is added and will be synced",
  );
  expect(await cli.json("subjects add institution ins_109508 --integration", id)).toEqual({
    kind: "institution",
    id: "ins_109508",
    integration_id: id,
    created: false,
  });
  await using worker = await world.sync.start();
  await worker.idle();
  expect(await cli.text("subjects list --kind institution")).toMatch(/institution\s+ins_109508\s+ann\s+ok/);
  expect(await cli.text("subjects list --status waiting")).toContain("No subject matches these filters");
  expect(await cli.text("subjects show institution ins_109508")).toMatch(
    /institution\s+ins_109508[\s\S]*status\s+ok[\s\S]*institutions\s+1\s/,
  );
  expect(await cli.json("subjects show institution ins_109508")).toMatchObject({
    status: "ok",
    user_id: "ann",
    resources: [{ resource: "institutions", rows: 1, verified_at: expect.any(String) }],
  });
  const asked = world.simulator.asked("/institutions/get_by_id");
  expect(await cli.text("subjects sync institution ins_109508 --resources institutions --full")).toContain(
    "✓ institution ins_109508 will be synced now",
  );
  await worker.idle();
  expect(world.simulator.asked("/institutions/get_by_id")).toBe(asked + 1);
  expect(await cli.json("subjects sync institution ins_109508")).toEqual({
    kind: "institution",
    id: "ins_109508",
    due: true,
  });
});

it("`tartan subjects` refuses an unknown kind, an unknown id and a foreign resource by name", async () => {
  const { id } = world.integration;
  expect(await cli.refusal("subjects add pigeon p1 --integration", id)).toMatch(/^invalid_request: [\s\S]*kind/);
  expect(await cli.refusal("subjects add institution ins_1 --integration svi_none")).toMatch(/^not_found: /);
  expect(await cli.refusal("subjects show institution ins_none")).toMatch(/^not_found: .*npx tartan subjects add/);
  expect(await cli.refusal("subjects sync institution ins_109508 --resources accounts")).toMatch(/^invalid_request: /);
  expect(await cli.refusal("subjects sync institution ins_109508 --resources payments")).toMatch(
    /^invalid_request: .*The kind institution has no resource payments\./,
  );
  expect(await cli.refusal("subjects show pigeon p1")).toMatch(/^invalid_request: [\s\S]*kind/);
  expect(await cli.refusal("subjects show item item-1")).toMatch(/^invalid_request: .*use `npx tartan items`/);
  expect(await cli.refusal("subjects add asset_report a1 --integration", id)).toMatch(
    /^invalid_request: .*asset_report_token[\s\S]*Set PLAID_SUBJECT_TOKEN/,
  );
  expect(await cli.refusal("subjects list --kind pigeon")).toMatch(/^invalid_request: /);
  expect(await cli.refusal("subjects erase institution ins_none --yes")).toMatch(/^not_found: /);
});

it("`tartan subjects erase` leaves nothing of a subject, and asks for the integration where several know it", async () => {
  const { id } = world.integration;
  await world.database.query(
    "insert into sync.subjects (integration_id, kind, id) values ('svi_other', 'institution', 'ins_109508')",
  );
  expect(await cli.refusal("subjects erase institution ins_109508 --yes")).toMatch(/^invalid_request: .*svi_other/s);
  await expect(requestSubjectSync(world.database, { kind: "institution", id: "ins_109508" }, {})).rejects.toMatchObject(
    { fields: { integration_id: expect.stringContaining(id) } },
  );
  expect(await cli.text("subjects erase institution ins_109508 --yes --integration", id)).toContain(
    `✓ institution ins_109508 of integration ${id} is erased`,
  );
  await world.database.query("delete from sync.subjects where integration_id = 'svi_other'");
  expect(await cli.json("subjects list")).toEqual({ data: [], next_cursor: null });
  const { rows } = await world.database.query("select from plaid.institutions");
  expect(rows).toEqual([]);
  await cli.text("subjects add institution ins_109508 --integration", id);
  expect(await cli.json("subjects erase institution ins_109508 --yes", "--reason", "asked")).toEqual({
    kind: "institution",
    id: "ins_109508",
    integration_id: id,
    erased: true,
  });
  const { rows: audited } = await world.database.query(
    "select target, reason, details from tartan.audit_log where action = 'subject.erased' order by id desc limit 1",
  );
  expect(audited).toEqual([{ target: "ins_109508", reason: "asked", details: { kind: "institution" } }]);
});

everyVerbIsRun(cli);
