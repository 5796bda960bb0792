/** What a claim costs: the queue's own function, on subjects that are then given back. */
import { claim, giveBack } from "../src/sync/queue.ts";
import type { World } from "./world.ts";

const AT_ONCE = 8;

/** Milliseconds that a claim of eight due subjects takes, the median of `turns`. */
export async function claimSubjects({ database }: World, turns: number): Promise<number> {
  const took: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const began = performance.now();
    const claimed = await claim(database, "", AT_ONCE, 60);
    took.push(performance.now() - began);
    if (claimed.length !== AT_ONCE) throw new Error(`${claimed.length} subjects were due, not ${AT_ONCE}`);
    for (const each of claimed) await giveBack(database, each);
  }
  return took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
}
