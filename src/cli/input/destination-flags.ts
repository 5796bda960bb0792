/** The options of a destination; `create` and `update` share them. */
import { Option, type Command } from "commander";
import { TartanError } from "../../errors.ts";
import { NewDestination } from "../../relay/destinations/destination.schema.ts";
import { ORDERINGS, type Ordering } from "../../relay/model/types.ts";
import type { DestinationChange } from "../../relay/destinations/destinations.ts";
import { numberOf, rangeOf, readInput } from "./flags.ts";

const SETTINGS = NewDestination.shape;

export interface DestinationFlags {
  name?: string;
  description?: string;
  header?: string[];
  headersFile?: string;
  timeout?: string;
  schedule?: string[];
  rate?: string | false;
  concurrency?: string;
  ordering?: Ordering;
  disableAfter?: string;
  ca?: string | false;
}

export function addDestinationOptions(command: Command): Command {
  return command
    .option("--name <name>", "a name of your choice")
    .option("--description <text>", "what the destination is for")
    .option("--header <headers...>", 'a header of each delivery, as "Name: value"; sealed, not shown again')
    .option("--headers-file <file>", "headers from a JSON object; a process list does not show them")
    .option("--timeout <seconds>", `timeout of the whole exchange, ${rangeOf(SETTINGS.timeout_ms, 1000)} (15)`)
    .option("--schedule <seconds...>", "the wait before each retry (5 300 1800 7200 18000 36000 36000)")
    .option(
      "--rate <count/seconds>",
      "at most this many attempts in any window of this many seconds, such as 100/1 (no limit)",
    )
    .option("--concurrency <count>", `deliveries at the same time, ${rangeOf(SETTINGS.concurrency)} (8)`)
    .addOption(
      new Option("--ordering <ordering>", "per_item: one at a time for each item or other subject (parallel)").choices(
        ORDERINGS,
      ),
    )
    .option(
      "--disable-after <hours>",
      `disable it after this many hours of nothing but failures, ${rangeOf(SETTINGS.disable_after_s, 3600)} (120)`,
    )
    .option("--ca <file>", "a certificate authority of your own, in PEM");
}

/** The settings that the options name; the others are absent. */
export function readDestination(flags: DestinationFlags): DestinationChange {
  const { name, description, header, headersFile, timeout, schedule, rate, concurrency, ordering, disableAfter, ca } =
    flags;
  return {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...((header !== undefined || headersFile !== undefined) && { headers: readHeaders(header, headersFile) }),
    ...(timeout !== undefined && { timeout_ms: Math.round(numberOf(timeout, "--timeout") * 1000) }),
    ...(schedule !== undefined && { schedule: schedule.map((seconds) => numberOf(seconds, "--schedule")) }),
    ...(rate !== undefined && { rate_limit: rate === false ? null : readRate(rate) }),
    ...(concurrency !== undefined && { concurrency: numberOf(concurrency, "--concurrency") }),
    ...(ordering !== undefined && { ordering }),
    ...(disableAfter !== undefined && {
      disable_after_s: Math.round(numberOf(disableAfter, "--disable-after") * 3600),
    }),
    ...(ca !== undefined && { ca: ca === false ? null : readInput(ca, "--ca") }),
  };
}

function readRate(text: string): { count: number; window_ms: number } {
  const [, count, seconds = "1"] = /^(\d+)(?:\/(\d+(?:\.\d+)?))?$/.exec(text) ?? [];
  if (count !== undefined) return { count: Number(count), window_ms: Math.round(Number(seconds) * 1000) };
  throw new TartanError("invalid_request", `--rate does not accept ${text}.`, {
    fields: { "--rate": "must be a count and a duration in seconds, such as 100/1" },
  });
}

function readHeaders(lines: readonly string[] = [], file?: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (file !== undefined) {
    for (const [name, value] of Object.entries(objectIn(readInput(file, "--headers-file"))))
      headers[name] = String(value);
  }
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) {
      const fields = { "--header": 'must be "Name: value"' };
      throw new TartanError("invalid_request", "A header has no name.", { fields });
    }
    headers[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
  return headers;
}

function objectIn(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // The error below leaves the text out: it holds secrets.
  }
  const fields = { "--headers-file": "must hold a JSON object of names and values" };
  throw new TartanError("invalid_request", "The file of headers is not a JSON object.", { fields });
}
