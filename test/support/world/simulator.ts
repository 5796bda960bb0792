/** The simulator in Plaid's place. */
import { startSimulator, type Simulator, type SimulatorOptions } from "../../../src/simulator/index.ts";
import { BOOKS, type BookName } from "../../../src/simulator/products/index.ts";
import { ALL_RECORDS, type RecordKind } from "../../../src/simulator/records/index.ts";
import type { Base } from "./base.ts";

/** The products that the simulator has the data of, besides transactions: by the name of the book, which is the resource's. */
export const BOOK_NAMES = Object.keys(BOOKS) as BookName[];
export const ALL_PRODUCTS = ["transactions", ...BOOK_NAMES.map((name) => BOOKS[name].product)];

/** The kinds of subject that belong to no Item and that the control can make. */
export const RECORD_KINDS = ALL_RECORDS.filter(({ only }) => only === undefined).map(({ kind }) => kind as RecordKind);

export interface SimulatorPart extends Simulator {
  /** how often an endpoint was asked so far */
  asked(endpoint: string): number;
  /** sends the first client's webhooks that are about no Item to a URL, or nowhere */
  sendRecordsTo(url: string | null): void;
}

export const simulator = {
  needs: [],
  /** Without rate limits, unless a test wants them. */
  start: async (world: Base, options: SimulatorOptions): Promise<SimulatorPart> => {
    const started = world.use(await startSimulator({ rateLimits: false, ...options }));
    const { control, clientId: client_id, secret } = started;
    return {
      ...started,
      asked: (endpoint) => control.requests().requests[endpoint] ?? 0,
      sendRecordsTo: (webhook) => void control.addClient({ client_id, secret, webhook }),
    };
  },
} as const;
