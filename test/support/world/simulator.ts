/** The simulator in Plaid's place. */
import { startSimulator, type Simulator, type SimulatorOptions } from "../../../src/simulator/index.ts";
import { BOOKS, type BookName } from "../../../src/simulator/products/index.ts";
import type { Base } from "./base.ts";

/** The products that the simulator has the data of, besides transactions: by the name of the book, which is the resource's. */
export const BOOK_NAMES = Object.keys(BOOKS) as BookName[];
export const ALL_PRODUCTS = ["transactions", ...BOOK_NAMES.map((name) => BOOKS[name].product)];

export interface SimulatorPart extends Simulator {
  /** how often an endpoint was asked so far */
  asked(endpoint: string): number;
}

export const simulator = {
  needs: [],
  /** Without rate limits, unless a test wants them. */
  start: async (world: Base, options: SimulatorOptions): Promise<SimulatorPart> => {
    const started = world.use(await startSimulator({ rateLimits: false, ...options }));
    return { ...started, asked: (endpoint) => started.control.requests().requests[endpoint] ?? 0 };
  },
} as const;
