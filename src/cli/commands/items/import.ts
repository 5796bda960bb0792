/**
 * Links many items from a file. It links each line by itself, so that a bad line does not stop the others. It writes the
 * result of each line to a report beside the file; a second run reads the report and continues where the first one stopped.
 * The report holds item ids and errors, never a token.
 */
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { once } from "node:events";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { TartanError } from "../../../errors.ts";
import { getIntegration } from "../../../integrations/integrations.ts";
import { linkItem, type LinkDeps } from "../../../sync/linking.ts";
import type { Core } from "../../wiring/core.ts";
import { openLinking } from "../../wiring/plaid-clients.ts";
import { dim, green, red, say, sayJson, sayTable } from "../../output/print.ts";
import { progressBar } from "../../output/progress.ts";

interface Flags {
  integration: string;
  report?: string;
  concurrency: string;
  json?: true;
}

interface Line {
  number: number;
  fields: Record<string, unknown> | null;
}

interface Entry {
  line: number;
  item_id: string | null;
  status: "linked" | "updated" | "failed";
  error?: string;
}

export async function importItems(core: Core, file: string, flags: Flags): Promise<void> {
  if (!existsSync(file)) throw new TartanError("invalid_request", `There is no file ${file}.`);
  if (!(await getIntegration(core.database, flags.integration))) {
    throw new TartanError("not_found", `There is no integration ${flags.integration}.`, {
      fields: { integration: "see `npx tartan integrations list`" },
    });
  }
  const reportFile = flags.report ?? `${file}.report.jsonl`;
  const done = await linesDone(reportFile);
  const report = createWriteStream(reportFile, { flags: "a" });
  const bar = progressBar("items");
  const counts = { linked: 0, updated: 0, failed: 0, skipped: 0 };
  const failures: Entry[] = [];

  bar.start(await countLines(file), 0);
  const linking = await openLinking(core);
  const lines = readLines(file);
  const worker = async () => {
    for (let next = await lines.next(); !next.done; next = await lines.next()) {
      if (done.get(next.value.number) === itemIdOf(next.value)) counts.skipped++;
      else {
        const entry = await linkLine(linking, flags.integration, next.value);
        counts[entry.status]++;
        if (entry.status === "failed" && failures.length < 20) failures.push(entry);
        report.write(`${JSON.stringify(entry)}\n`);
      }
      bar.increment();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, Number(flags.concurrency) || 1) }, worker));
  } finally {
    bar.stop();
    report.end();
    await once(report, "finish");
  }
  reportResult(counts, failures, reportFile, flags);
  if (counts.failed > 0) process.exitCode = 1;
}

function reportResult(
  counts: Record<string, number>,
  failures: readonly Entry[],
  report: string,
  { json }: Flags,
): void {
  if (json) return sayJson({ ...counts, report });
  const mark = counts["failed"] ? red("✗") : green("✓");
  say(
    `${mark} ${Object.entries(counts)
      .map(([what, count]) => `${count} ${what}`)
      .join(", ")}  ${dim(report)}`,
  );
  if (failures.length === 0) return;
  sayTable(
    failures,
    { line: ({ line }) => String(line), item: ({ item_id }) => item_id ?? "", error: ({ error }) => red(error ?? "") },
    "",
  );
  say(dim("Fix these lines and run the same command again; it skips the lines that are done."));
}

const itemIdOf = ({ fields }: Line): string =>
  typeof fields?.["item_id"] === "string" ? fields["item_id"].trim() : "";

async function linkLine(linking: LinkDeps, integration: string, { number, fields }: Line): Promise<Entry> {
  const itemId = itemIdOf({ number, fields });
  const entry = { line: number, item_id: itemId || null };
  const accessToken = typeof fields?.["access_token"] === "string" ? fields["access_token"].trim() : "";
  const userId = typeof fields?.["user_id"] === "string" ? fields["user_id"].trim() : "";
  if (!fields) return { ...entry, status: "failed", error: "the line is not a JSON object" };
  if (!itemId) return { ...entry, status: "failed", error: "item_id is missing" };
  if (!accessToken) return { ...entry, status: "failed", error: "access_token is missing" };
  try {
    const { created } = await linkItem(linking, {
      integration_id: integration,
      item_id: itemId,
      access_token: accessToken,
      ...(userId && { user_id: userId }),
    });
    return { ...entry, status: created ? "linked" : "updated" };
  } catch (error) {
    const known = error instanceof TartanError ? error.message : "the item could not be stored; see the log";
    return { ...entry, status: "failed", error: known };
  }
}

/** Lines by number, the first record being 1. A generator's `next` is queued, so several workers may share it. */
async function* readLines(file: string): AsyncGenerator<Line, void> {
  let number = 0;
  if (isJsonLines(file)) {
    for await (const text of createInterface({ input: createReadStream(file) })) {
      if (text.trim() !== "") yield { number: ++number, fields: asObject(text) };
    }
    return;
  }
  const parser = createReadStream(file).pipe(parse({ columns: true, bom: true, trim: true, skip_empty_lines: true }));
  for await (const fields of parser) yield { number: ++number, fields: fields as Record<string, unknown> };
}

const isJsonLines = (file: string) => [".jsonl", ".ndjson", ".json"].includes(extname(file).toLowerCase());

function asObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

async function countLines(file: string): Promise<number> {
  let count = 0;
  for await (const line of createInterface({ input: createReadStream(file) })) if (line.trim() !== "") count++;
  return isJsonLines(file) ? count : Math.max(0, count - 1);
}

/**
 * The lines that an earlier run linked, with their items, since the file may have been replaced. Failed lines are
 * tried again.
 */
async function linesDone(report: string): Promise<Map<number, string>> {
  const done = new Map<number, string>();
  if (!existsSync(report)) return done;
  for await (const text of createInterface({ input: createReadStream(report) })) {
    const entry = asObject(text) as Partial<Entry> | null;
    if (entry?.line !== undefined && entry.item_id && entry.status !== "failed") done.set(entry.line, entry.item_id);
  }
  return done;
}
