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
  target?: string;
  limit: string;
  cursor?: string;
  json?: true;
}

export function auditCommand(): Command {
  const audit = new Command("audit").description("who changed what");
  audit
    .command("list")
    .description(
      "list changes of integrations, secrets and what is revealed, fetched statements, and deletions, newest first",
    )
    .option("--integration <id>", "changes of one integration")
    .option("--action <name>", "such as resources.revealed")
    .option("--actor <name>", "such as cli:root")
    .option("--target <id>", "changes of one item or other subject, or of one database role")
    .option("--limit <count>", PAGE_SIZE_HELP, pageSize, USUAL_PAGE)
    .option("--cursor <cursor>", "next_cursor of the previous page")
    .option("--json", "print JSON")
    .action(withCore(list));
  return audit;
}

async function list({ database }: Core, flags: Flags): Promise<void> {
  const { integration: integration_id, limit, json, ...filter } = flags;
  const page = await listAudit(database, { integration_id, limit: Number(limit), ...filter });
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
  if (page.next_cursor) tell(dim(`more: --cursor ${page.next_cursor}`));
}

/** The target, and the details by name: `item-1`, `resources: auth, identity`. */
const whatOf = ({ target, details }: AuditRecord): string =>
  [
    ...(target === null ? [] : [target]),
    ...Object.entries(details).map(([name, value]) => `${name}: ${textOf(value)}`),
  ].join("  ");

const textOf = (value: unknown): string => (Array.isArray(value) ? value.join(", ") : String(value));
