/** `tartan audit list`: who changed what. */
import { Command } from "commander";
import { listAudit, type AuditRecord } from "../../audit/audit.ts";
import { PAGE_SIZE_HELP, pageSize, USUAL_PAGE } from "../input/flags.ts";
import { ago, bold, dim, sayJson, sayTable, tell } from "../output/print.ts";
import { withCore, type Core } from "../wiring/core.ts";

interface Flags {
  integration?: string;
  action?: string;
  actor?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

export function auditCommand(): Command {
  const audit = new Command("audit").description("who changed what");
  audit
    .command("list")
    .description("list changes of integrations, secrets and what is revealed, and deletions, newest first")
    .option("--integration <id>", "changes of one integration")
    .option("--action <name>", "such as resources.revealed")
    .option("--actor <name>", "such as cli:root")
    .option("--limit <rows>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  return audit;
}

async function list({ database }: Core, flags: Flags): Promise<void> {
  const { integration: integration_id, action, actor, limit, cursor, json } = flags;
  const page = await listAudit(database, { integration_id, action, actor, limit: Number(limit), cursor });
  if (json) return sayJson(page);
  sayTable(
    page.data,
    {
      when: ({ at }) => ago(at),
      actor: ({ actor: name }) => bold(name),
      action: ({ action: name }) => name,
      integration: ({ integration_id: id }) => dim(id ?? ""),
      what: whatOf,
      reason: ({ reason }) => reason ?? "",
    },
    "Nothing was changed yet.",
  );
  if (page.next_cursor) tell(dim(`continue with: --cursor ${page.next_cursor}`));
}

const whatOf = ({ subject, details }: AuditRecord): string =>
  [subject ?? [], Object.values(details).flatMap((value) => (Array.isArray(value) ? value : String(value)))]
    .flat()
    .join(" ");
