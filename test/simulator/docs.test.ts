/** docs/simulator.md is true: its examples run, its faults exist, its paths answer. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { startSimulator } from "../../src/simulator/index.ts";
import { PLAID_PATHS } from "../../src/simulator/plaid-api.ts";
import { TAMPERINGS } from "../../src/simulator/webhooks/sign.ts";
import { faultSchema } from "../../src/simulator/faults.ts";
import { sdkFor } from "./support/client.ts";

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

test("the example of the docs works, and the docs name all ways to forge a webhook", async () => {
  await using simulator = await startSimulator({ rateLimits: false });
  const { items } = simulator.control.createItems({ count: 1, transactions: 200 });
  const { data } = await sdkFor(simulator).transactionsSync({ access_token: items[0]?.access_token ?? "", count: 500 });
  expect(data.added).toHaveLength(200);
  for (const tamper of TAMPERINGS) expect(text).toContain(`\`${tamper}\``);
});
