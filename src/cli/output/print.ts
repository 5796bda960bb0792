/**
 * Output for people: tables, colours for states, relative times. With `--json` a command prints the same facts as
 * one JSON value instead, for scripts. A command's answer goes to stdout; progress and advice go to stderr.
 */
import Table from "cli-table3";
import colours from "picocolors";
import type { BreakerState, DeliveryStatus, DestinationStatus, ItemStatus, JobStatus } from "../../model/statuses.ts";

export const { bold, cyan, dim, green, magenta, red, yellow } = colours;

export function say(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** Progress and advice: on stderr, so that a pipe gets the answer alone. */
export function tell(line = ""): void {
  process.stderr.write(`${line}\n`);
}

export function sayJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}

/** A complete list, in the form of a page of the API. */
export function sayJsonList(data: readonly unknown[]): void {
  sayJson({ data, next_cursor: null });
}

/** Columns: heading → the text of a row's cell. */
export type Columns<Row> = Record<string, (row: Row) => string>;

/** Prints rows as a table, or `none` (a sentence that says what to do) when there are none. */
export function sayTable<Row>(rows: readonly Row[], columns: Columns<Row>, none: string): void {
  if (rows.length === 0) return say(dim(none));
  const table = new Table({
    head: Object.keys(columns).map((heading) => dim(heading)),
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    chars: BORDERLESS,
  });
  for (const row of rows) table.push(Object.values(columns).map((show) => show(row)));
  say(table.toString());
}

/** Prints one thing as `name  value` lines; empty values are left out. */
export function sayFacts(facts: Record<string, string | null | undefined>): void {
  const shown = Object.entries(facts).filter((fact): fact is [string, string] => Boolean(fact[1]));
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) say(`${dim(name.padEnd(width))}  ${value}`);
}

const EDGES = ["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"];
const LINES = ["left", "left-mid", "mid", "mid-mid", "right", "right-mid", "middle"];
const BORDERLESS = Object.fromEntries([...EDGES, ...LINES].map((name) => [name, ""]));

const UNITS: [seconds: number, name: string][] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** `3 min ago`, `in 2 h`, `never`. */
export function ago(instant: Date | string | null | undefined, now = Date.now()): string {
  if (!instant) return dim("never");
  const seconds = Math.round((now - new Date(instant).getTime()) / 1000);
  const [size, unit] = UNITS.find(([each]) => Math.abs(seconds) >= each) ?? [1, "s"];
  const count = Math.floor(Math.abs(seconds) / size);
  if (count === 0) return "now";
  return seconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

/** Counts stop at one more than these; counting further would take long. */
export const COUNTED_TO = { deliveries: 10_000, group: 1000 } as const;

/** A count that stopped at one more than `most`: `137`, `> 10000`. */
export const countUpTo = (count: number, most: number): string => (count > most ? `> ${most}` : String(count));

/** A number of deliveries. */
export const deliveryCount = (count: number): string => countUpTo(count, COUNTED_TO.deliveries);

/** `1 subject`, `2 subjects`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

type Colour = (text: string) => string;

/** The words for states, each with its colour. */
const STATE_COLOURS: Record<ItemStatus | DestinationStatus | DeliveryStatus | JobStatus | BreakerState, Colour> = {
  ok: green,
  active: green,
  delivered: green,
  done: green,
  closed: green,
  scheduled: cyan,
  running: cyan,
  pending: cyan,
  waiting: cyan,
  unlinked: yellow,
  retrying: yellow,
  held: yellow,
  paused: yellow,
  half_open: yellow,
  cancelled: dim,
  dead: red,
  disabled: red,
  open: red,
  needs_user: magenta,
  ended: dim,
  misconfigured: red,
};

/** Outcomes of sync runs and of webhooks, and states of routes. */
const COLOURS: Readonly<Record<string, Colour>> = {
  ...STATE_COLOURS,
  synced: green,
  enabled: green,
  due: cyan,
  item_unknown: yellow,
  unknown_webhook: yellow,
  exchanging: cyan,
  linked: green,
  failed: red,
  equal: green,
  differs: red,
  unproven: yellow,
  read: green,
  updated: cyan,
  acknowledged: cyan,
  verified: green,
  unchanged: dim,
  received: green,
  recovered: yellow,
  elsewhere: yellow,
  not_needed: dim,
};

/** A state's word in its colour. */
export function state(word: string | null | undefined): string {
  if (!word) return dim("–");
  return (COLOURS[word] ?? String)(word);
}

/** Shortens a long id to its two ends, which people compare. */
export function short(id: string | null | undefined, length = 18): string {
  if (!id) return dim("–");
  return id.length <= length ? id : `${id.slice(0, length - 5)}…${id.slice(-4)}`;
}
