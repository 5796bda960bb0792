/** docs/simulator.md is true: its examples run, its faults exist, its paths answer. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { Configuration, PlaidApi, Products } from "plaid";
import { expect, test } from "vitest";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { PLAID_PATHS } from "../../src/simulator/plaid-api.ts";
import { TAMPERINGS } from "../../src/simulator/webhooks/sign.ts";
import { faultSchema } from "../../src/simulator/faults.ts";

const text = readFileSync(path.join(import.meta.dirname, "../../docs/simulator.md"), "utf8");

test("every fault has an example in the docs, and every example is a fault", async () => {
  await using simulator = await startSimulator();
  const examples = [...text.matchAll(/^\| `(\{"kind".*?\})`\s*\|/gm)].map(
    ([, json]) => JSON.parse(json ?? "") as { kind: string },
  );
  for (const example of examples) expect(simulator.control.addFault(example as never)).toMatchObject(example);
  const kinds = faultSchema.options.map((option) => option.shape.kind.value);
  expect([...new Set(examples.map((example) => example.kind))].toSorted()).toEqual(kinds.toSorted());
});

test("the docs list exactly the existing control paths and functions", async () => {
  await using simulator = await startSimulator();
  const index = (await (await fetch(`${simulator.url}/_simulator`)).json()) as { control: string[]; plaid: string[] };
  const table = text.slice(text.indexOf("## Control it"), text.indexOf("## Webhooks"));
  const rows = table.split("\n").filter((row) => row.startsWith("| `"));
  const documented = rows.flatMap((row) => {
    const [, paths = "", twins = ""] = row.split("|");
    let base = "";
    const routes = [...paths.matchAll(/`(?:(GET|POST|DELETE) )?([/…][^`]*)`/g)].map(([, method, route = ""]) => {
      if (method) base = `${method} ${route.replace(/\/[^/]+$/, "")}`;
      return method ? `${method} /_simulator${route}` : `${base.replace(" ", " /_simulator")}${route.replace("…", "")}`;
    });
    for (const [, twin = ""] of routes.length > 0 ? twins.matchAll(/`(\w+)`/g) : []) {
      expect(simulator.control[twin as keyof typeof simulator.control], twin).toBeTypeOf("function");
    }
    return routes;
  });
  const all = index.control.filter((route) => route !== "GET /_simulator/");
  expect(documented.toSorted()).toEqual(all.toSorted());
  expect(index.plaid).toEqual(PLAID_PATHS);
});

test("the examples of the docs run one after the other, and the docs name all ways to forge a webhook", async () => {
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""]) => code);
  const story = blocks
    .join("\n")
    .replaceAll(/^import .*\n/gm, "")
    .replace("await using simulator", "const simulator");
  // The docs' own imports, which a function cannot have.
  const names = { Configuration, PlaidApi, Products, startSimulator };
  const AsyncFunction = (async () => undefined).constructor as new (...code: string[]) => (
    ...values: unknown[]
  ) => Promise<{
    simulator: Simulator;
    data: { added: unknown[] };
    held: { holdings: unknown[] };
    shown: unknown;
  }>;
  const run = new AsyncFunction(...Object.keys(names), `${story}; return { simulator, data, held, shown };`);
  const { simulator, data, held, shown } = await run(...Object.values(names));
  await using _ = simulator;
  expect(blocks.length).toBeGreaterThan(4);
  expect(data.added).toHaveLength(200);
  expect(held.holdings.length).toBeGreaterThan(0);
  expect(shown).toMatchObject({ payments: { status: "PAYMENT_STATUS_EXECUTED" } });
  expect(simulator.control.webhooks().webhooks.map((one) => one.webhook_code)).toContain("ISSUE_RESOLVED");
  for (const tamper of TAMPERINGS) expect(text).toContain(`\`${tamper}\``);
});
