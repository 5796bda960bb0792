/**
 * `npm run bench`: every figure of the README's table, each beside its limit or peer in the same run, since machines
 * differ and drift. `npm run bench -- accept sync` runs those parts; `--quick` leaves out the million and the ten
 * million and shortens the relay's ten minutes, which take most of the time. The soak, which takes an hour, runs only when it is named.
 */
import { benchAccept } from "./accept.ts";
import { benchChanges } from "./changes.ts";
import { benchClaims } from "./claims.ts";
import { benchEverything } from "./everything.ts";
import { benchForged } from "./forged.ts";
import { benchFreshness } from "./freshness.ts";
import { benchGrowth } from "./growth.ts";
import { benchIncrements } from "./increments.ts";
import { interrupted, listenForInterrupts } from "./interrupt.ts";
import { benchMarking } from "./marking.ts";
import { benchMove } from "./move.ts";
import { benchProducts } from "./products.ts";
import { benchConverge, benchReconcile } from "./reconcile.ts";
import { benchRelayGrowth } from "./relay-growth.ts";
import { benchRelay } from "./relay.ts";
import { printRows, saveRows, tell, type Row } from "./report.ts";
import { benchSoak } from "./soak.ts";
import { benchSpool } from "./spool.ts";
import { benchSync } from "./sync.ts";

const quick = process.argv.includes("--quick");

/** Of each of the relay's two latencies. */
const minutes = quick ? 0.5 : Number(process.env["RELAY_MINUTES"] ?? 10);

const PARTS: Record<string, () => Promise<Row[]>> = {
  accept: () => benchAccept({ million: !quick }),
  forged: benchForged,
  spool: benchSpool,
  marking: benchMarking,
  sync: benchSync,
  increments: benchIncrements,
  freshness: benchFreshness,
  everything: benchEverything,
  products: benchProducts,
  changes: benchChanges,
  relay: () => benchRelay({ minutes }),
  "relay-latency": () => benchRelay({ minutes, only: "latency" }),
  "relay-saturation": () => benchRelay({ minutes, only: "saturation" }),
  "relay-hold": () => benchRelay({ minutes, only: "hold" }),
  "relay-growth": benchRelayGrowth,
  reconcile: benchReconcile,
  converge: benchConverge,
  claims: benchClaims,
  move: benchMove,
  growth: benchGrowth,
  soak: benchSoak,
};

const asked = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const unknown = asked.filter((part) => !(part in PARTS));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}.`);
  process.exit(1);
}
const chosen =
  asked.length > 0
    ? asked
    : Object.keys(PARTS).filter(
        (part) => part !== "soak" && !part.includes("-") && !(quick && (part === "growth" || part === "changes")),
      );

listenForInterrupts();
const rows: Row[] = [];
for (const part of chosen) {
  tell(`— ${part}`);
  rows.push(...(await measured(part)));
}
printRows(rows);
console.log(`written to ${saveRows(rows)}`);

/** The rows of a part. Where the bench is interrupted meanwhile, it does not return, since the process ends as soon as all is closed. */
async function measured(part: string): Promise<Row[]> {
  try {
    return (await PARTS[part]?.()) ?? [];
  } catch (error) {
    if (!interrupted.aborted) throw error;
    return await new Promise(() => undefined);
  }
}
