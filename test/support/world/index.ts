/**
 * The fixture of all tests that need more than a database: a world with the parts that a test asks for, and those that they need.
 *
 *   await using world = await startWorld({ sync: {} });
 *   const item = await world.sync.synced();
 *   world.simulator.control.changeTransactions(item.item_id, { add: 3 });
 *
 * A world has a database of its own. It is closed with everything that it started, the last first.
 */
import { Closer } from "../../../src/cli/wiring/closer.ts";
import type { Database } from "../../../src/database/types.ts";
import { testDatabase } from "../database.ts";
import { api } from "./api.ts";
import { openBase, type Base } from "./base.ts";
import { destinations } from "./destinations.ts";
import { integration } from "./integration.ts";
import { linking } from "./linking.ts";
import { processes } from "./processes.ts";
import { receiver } from "./receiver.ts";
import { relay } from "./relay.ts";
import { simulator } from "./simulator.ts";
import { sync } from "./sync.ts";

export { callerOf, KEY, type Answer, type Call, type Json } from "./api.ts";
export { PLACE } from "./destinations.ts";
export type { Item } from "./integration.ts";
export { ADMIN_KEY } from "./processes.ts";
export type { ReceiverAnswer } from "./receiver.ts";
export { ALL_PRODUCTS, BOOK_NAMES } from "./simulator.ts";

/** A part stands below the parts that it needs. */
export const PARTS = { simulator, integration, destinations, receiver, sync, linking, relay, api, processes };

type Parts = typeof PARTS;
export type PartName = keyof Parts;
type WithNeeds<Name extends PartName> = Name extends PartName ? Name | WithNeeds<Parts[Name]["needs"][number]> : never;

/** A world with these parts, and with those that they need: `World<"sync">` has the simulator and the integration too. */
export type World<Name extends PartName = never> = Base & {
  [Each in WithNeeds<Name>]: Awaited<ReturnType<Parts[Each]["start"]>>;
};

type Options = { [Each in PartName]: Parameters<Parts[Each]["start"]>[1] } & {
  database: {
    /** connections (16) */
    poolSize?: number;
    /** a database that the test has opened, and closes, instead of a fresh one */
    given?: { database: Database; url: string };
  };
};

/** Starts the parts that are asked for, each with its options, and those that they need. */
export async function startWorld<Name extends keyof Options = never>(
  asked: Pick<Options, Name> = {} as Pick<Options, Name>,
): Promise<World<Exclude<Name, "database">>> {
  const options: Partial<Options> = asked;
  const closer = new Closer();
  try {
    const { given, poolSize = 16 } = options.database ?? {};
    const world = openBase(closer, given ?? closer.use(await testDatabase({ poolSize })));
    for (const name of withNeeds(options)) {
      const start = PARTS[name].start as (world: Base, options: unknown) => Promise<unknown>;
      Object.assign(world, { [name]: await start(world, options[name] ?? {}) });
    }
    return world as World<Exclude<Name, "database">>;
  } catch (error) {
    await closer[Symbol.asyncDispose]();
    throw error;
  }
}

/** The names of the parts to start, in the order in which they are started. */
function withNeeds(asked: Partial<Options>): PartName[] {
  const names = Object.keys(PARTS) as PartName[];
  const wanted = new Set<PartName>(names.filter((name) => asked[name] !== undefined));
  for (const name of names.toReversed()) {
    if (wanted.has(name)) for (const needed of PARTS[name].needs) wanted.add(needed);
  }
  return names.filter((name) => wanted.has(name));
}
