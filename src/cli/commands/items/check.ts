/** `tartan items check`: proves one item, or many as a job, against Plaid, and prints each row that differs. */
import { setTimeout as delay } from "node:timers/promises";
import { TartanError } from "../../../errors.ts";
import type { CheckRequest } from "../../../fleet/reading.schema.ts";
import { createCheck } from "../../../fleet/readings.ts";
import { getFullCheck, requestFullCheck, type FullCheckState } from "../../../sync/full-checks.ts";
import {
  plural,
  bold,
  dim,
  green,
  red,
  say,
  sayFacts,
  sayJson,
  sayTable,
  short,
  state,
  tell,
  yellow,
} from "../../output/print.ts";
import { byUser } from "../../input/change.ts";
import { startReading, type ReadingFlags } from "./readings.ts";
import type { Core } from "../../wiring/core.ts";
import { untilStopped } from "../../wiring/signals.ts";
import { knownItem } from "./known.ts";

export interface CheckFlags extends ReadingFlags {
  all?: true;
  wait?: boolean;
}

const POLL_MS = 250;
/** Somebody looks at a terminal, so it says why nothing happens. */
const SLOW_MS = 10_000;

/** One item, or a job about many. */
export async function checkItems(core: Core, itemId: string | undefined, flags: CheckFlags): Promise<void> {
  if (itemId !== undefined) {
    expectOne(flags);
    return await checkItem(core, itemId, flags);
  }
  if (!flags.all && flags.integration === undefined && flags.user === undefined) {
    throw new TartanError("invalid_request", "Name an item, or use --all, --integration or --user.", {
      fields: { item_id: "is missing" },
    });
  }
  const ask = (request: CheckRequest) => createCheck(core.database, request, byUser(flags.reason));
  await startReading(
    core.database,
    flags,
    ask,
    (count) => `This reads ${plural(count, "item")} again and proves them.`,
  );
}

/** What belongs to a job must not be ignored for one item: `--dry-run` would read it. */
function expectOne({ all, user, perMinute, dryRun, follow }: CheckFlags): void {
  const given = Object.entries({
    "--all": all,
    "--user": user,
    "--per-minute": perMinute,
    "--dry-run": dryRun,
    "--follow": follow,
  });
  const [name] = given.find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return;
  throw new TartanError("invalid_request", `${name} is about many items; leave it out, or leave the item out.`);
}

/** Exits with 1 where a row was wrong or something could not be read. */
async function checkItem({ database }: Core, itemId: string, flags: CheckFlags): Promise<void> {
  const item = await knownItem(database, itemId, flags.integration);
  const which = { integrationId: item.integration_id, itemId };
  const { resources, json, wait = true } = flags;
  const began = await requestFullCheck(database, which, resources ? { resources } : {});
  const check = wait ? await ended(() => getFullCheck(database, which), began) : began;
  if (json) sayJson(check);
  else sayCheck(check);
  if (check.status === "differs" || check.status === "unproven") process.exitCode = 1;
}

/** The check when it has ended, or as it is when somebody presses Ctrl-C. */
async function ended(read: () => Promise<FullCheckState | null>, began: FullCheckState): Promise<FullCheckState> {
  const stop = new AbortController();
  void untilStopped().then(() => stop.abort());
  let check = began;
  let slowNamed = false;
  for (const since = Date.now(); check.status === "running" && !stop.signal.aborted;) {
    if (!slowNamed && Date.now() - since > SLOW_MS) {
      tell(
        dim(
          `still waiting${check.error_code ? `: ${check.error_code}` : ""}; a server with the role sync does the work`,
        ),
      );
      slowNamed = true;
    }
    await delay(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    check = (await read()) ?? { ...check, status: "unproven" };
  }
  return check;
}

function sayCheck(check: FullCheckState): void {
  const { item_id, status, wrong, may_be_new, resources, differences, error_code, error_message, next_step } = check;
  sayFacts({
    item: bold(item_id),
    check: status === "equal" ? green("equal to Plaid") : state(status),
    wrong: wrong > 0 ? red(`${plural(wrong, "row")}; healed in the same transaction`) : null,
    changed: may_be_new > 0 ? `${plural(may_be_new, "row")} that Plaid may have changed since the last reading` : null,
    error: error_code ? `${red(error_code)}  ${error_message ?? ""}` : null,
    "next step": next_step,
  });
  if (resources.length === 0) return;
  say();
  sayTable(
    resources.filter(({ outcome }) => outcome !== "absent"),
    {
      resource: ({ resource }) => resource,
      rows: ({ rows }) => String(rows),
      outcome: ({ outcome, error_code: code }) => (code ? red(code) : outcome === "differs" ? red(outcome) : outcome),
      wrong: ({ wrong: rows }) => (rows > 0 ? red(String(rows)) : "0"),
      "may be new": ({ may_be_new: rows }) => String(rows),
    },
    "",
  );
  if (differences.length === 0) return;
  say();
  sayTable(
    differences.flatMap((row) => (row.columns.length === 0 ? [null] : row.columns).map((at) => ({ ...row, at }))),
    {
      table: ({ table, may_be_new: isNew }) => (isNew ? yellow(table) : red(table)),
      row: ({ key }) => key,
      column: ({ at, difference }) => at?.column ?? WHOLE_ROWS[difference],
      mirror: ({ at }) => (at ? short(textOf(at.mirror)) : ""),
      Plaid: ({ at }) => (at ? short(textOf(at.plaid)) : ""),
    },
    "",
  );
}

const WHOLE_ROWS = { missing: "the mirror lacked it", surplus: "Plaid does not have it", differs: "" };

const textOf = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
