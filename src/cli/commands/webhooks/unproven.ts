/** `tartan webhooks unproven`: webhooks that wait in quarantine for their verification keys. */
import { Command } from "commander";
import { listUnproven } from "../../../journal/quarantine.ts";
import { PAGE_SIZE_HELP, pageSize } from "../../input/flags.ts";
import { ago, dim, sayJson, sayTable, short, tell, yellow } from "../../output/print.ts";
import { withCore, type Core } from "../../wiring/core.ts";

interface Flags {
  integration?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

export const unprovenCommand = (): Command =>
  new Command("unproven")
    .description("list webhooks that wait unproven for their verification keys, newest first")
    .option("--integration <id>", "only those of this integration")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, "25")
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(unproven));

async function unproven({ database }: Core, { integration, limit, cursor, json }: Flags): Promise<void> {
  const page = await listUnproven(database, {
    limit: Number(limit),
    ...(integration && { integration_id: integration }),
    ...(cursor && { cursor }),
  });
  if (json) return sayJson(page);
  sayTable(
    page.data,
    {
      received: ({ received_at }) => ago(received_at),
      id: ({ id }) => id,
      "says it is": ({ claims }) => `${claims.webhook_type ?? "?"}/${claims.webhook_code ?? "?"}`,
      "of item": ({ claims }) => short(claims.item_id ?? ""),
      "by key": ({ claims }) => short(claims.key_id),
      from: ({ remote_address, vouched }) => `${remote_address ?? ""}${vouched ? "" : dim(" (not known)")}`,
      "waits for": ({ waits_for }) => yellow(waits_for ?? "its key is asked for now"),
    },
    "No webhook waits unproven.",
  );
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}
