/** `tartan integrations calls`: how many requests an integration has sent to Plaid. */
import { Command } from "commander";
import { TartanError } from "../../../errors.ts";
import { getIntegration } from "../../../integrations/integrations.ts";
import { readCalls } from "../../../plaid/calls.ts";
import { bold, dim, sayJson, sayTable, tell } from "../../output/print.ts";
import { withCore, type Core } from "../../wiring/core.ts";

interface Flags {
  from?: string;
  to?: string;
  json?: true;
}

export const callsCommand = (): Command =>
  new Command("calls")
    .argument("<id>")
    .description("count its requests to Plaid, by endpoint")
    .option("--from <day>", "the first day, in UTC (default: 29 days before the last one)")
    .option("--to <day>", "the last day, in UTC (default: today)")
    .option("--json", "print JSON")
    .action(withCore(calls));

async function calls({ database }: Core, id: string, { from, to, json }: Flags): Promise<void> {
  if (!(await getIntegration(database, id)))
    throw new TartanError("not_found", `There is no integration ${id}; see \`npx tartan integrations list\`.`);
  const counted = await readCalls(database, id, { from, to });
  if (json) return sayJson(counted);
  tell(dim(`from ${counted.from} to ${counted.to}`));
  const rows = counted.endpoints.map((each) => ({ ...each, name: each.endpoint }));
  sayTable(
    rows.length === 0 ? [] : [...rows, { ...counted.total, name: bold("total") }],
    {
      endpoint: ({ name }) => name,
      calls: (row) => String(row.calls),
      failures: ({ failures }) => String(failures),
      billed: ({ billed }) => String(billed),
    },
    "No request was sent in these days.",
  );
}
