/** What a bench found: a table for people, a JSON file for comparing. Every figure stands beside its limit or peer. */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import Table from "cli-table3";
import colours from "picocolors";

export interface Row {
  bench: string;
  what: string;
  figure: string;
  /** the limit or peer of the same run */
  against?: string;
  ratio?: number;
  /** the ratio aimed at, and whether more or less is better */
  aim?: { ratio: number; better: "more" | "less" };
}

export const rate = (perSecond: number): string => `${Math.round(perSecond).toLocaleString("en")}/s`;
export const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
export const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

export function printRows(rows: readonly Row[]): void {
  const head = ["bench", "what", "figure", "against", "ratio", "aim"];
  const table = new Table({ head, style: { head: ["dim"], border: ["dim"] } });
  for (const { bench, what, figure, against = "", ratio, aim } of rows) {
    const shown = ratio === undefined ? "" : ratio.toFixed(2);
    table.push([bench, what, figure, against, colourOf(ratio, aim)(shown), aimText(aim)]);
  }
  console.log(table.toString());
}

const aimText = (aim: Row["aim"]): string => (aim ? `${aim.better === "more" ? "≥" : "≤"} ${aim.ratio}` : "");

function colourOf(ratio: number | undefined, aim: Row["aim"]): (text: string) => string {
  if (ratio === undefined || !aim) return String;
  const met = aim.better === "more" ? ratio >= aim.ratio : ratio <= aim.ratio;
  return met ? colours.green : colours.yellow;
}

export function saveRows(rows: readonly Row[]): string {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const at = new Date().toISOString();
  const file = join(folder, `${at.replaceAll(/[:.]/g, "-")}.json`);
  const machine = { cpu: cpus()[0]?.model ?? "", cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30) };
  writeFileSync(file, `${JSON.stringify({ at, commit: commit(), node: process.version, machine, rows }, null, 2)}\n`);
  return file;
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

/** A line of progress on stderr. */
export function tell(line: string): void {
  console.error(colours.dim(`  ${line}`));
}
