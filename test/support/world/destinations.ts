/** What destinations are made with. It is what the functions of relay/destinations take: `pauseDestination(world.destinations, id)`. */
import {
  createDestination,
  type DestinationDeps,
  type DestinationState,
  type NewDestination,
} from "../../../src/relay/destinations/destinations.ts";
import type { Base } from "./base.ts";

/** The URL of a destination that a test never sends to. */
export const PLACE = "https://example.com/webhooks";

interface DestinationsOptions {
  /** true: destinations may be receivers of this machine */
  allowHttp?: boolean;
}

export interface DestinationsPart extends DestinationDeps {
  /** a destination at PLACE, unless the test gives another URL */
  create(given?: Partial<NewDestination>): Promise<DestinationState & { signing_secret: string }>;
}

export const destinations = {
  needs: [],
  start: async ({ database, vault }: Base, { allowHttp = true }: DestinationsOptions): Promise<DestinationsPart> => {
    const deps = { database, vault, urls: { allowHttp, checkUrl: () => undefined } };
    return { ...deps, create: (given = {}) => createDestination(deps, { url: PLACE, ...given }) };
  },
} as const;
