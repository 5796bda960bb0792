/** `tartan status`: is anything waiting, failing or refused? */
import { Command } from "commander";
import { listIntegrations } from "../../integrations/integrations.ts";
import { queueDepth } from "../../sync/queries.ts";
import { openCore } from "../core.ts";
import { green, sayFacts, sayJson, state, yellow } from "../print.ts";

export function statusCommand(): Command {
  return new Command("status")
    .description("what waits, what fails")
    .option("--json", "print JSON")
    .action(async ({ json }: { json?: true }) => {
      await using core = await openCore(process.env, { as: "command", logLevel: "warn", poolSize: 2 });
      const depth = await queueDepth(core.database);
      const integrations = (await listIntegrations(core.database)).length;
      if (json) return sayJson({ integrations, ...depth });
      sayFacts({
        integrations: String(integrations),
        due:
          depth.due === 0
            ? green("nothing waits")
            : yellow(`${depth.due} subjects, the oldest for ${Math.round(depth.oldest_due_seconds)} s`),
        ...Object.fromEntries(
          Object.entries(depth.by_status).map(([status, count]) => [status, `${count} ${state(status)}`]),
        ),
      });
    });
}
