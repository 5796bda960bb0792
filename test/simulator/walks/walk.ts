/** A walk: Plaid's SDK goes through the endpoints of a product, and Plaid's document judges each answer and webhook. */
import type { PlaidApi } from "plaid";
import type { Simulator } from "../../../src/simulator/index.ts";

export interface Walker {
  simulator: Simulator;
  sdk: PlaidApi;
  /** the URL of the client's webhooks; whatever arrives there is judged when the walk ends */
  webhook: string;
  /** `TYPE/CODE` of what has arrived in this walk, after everything sent was answered */
  arrived(): Promise<string[]>;
  /** the answer of a call, after Plaid's document judged it */
  judged<T>(path: string, call: Promise<{ status: number; data: T }>): Promise<T>;
}

export interface Walk {
  /** it stands in the test's title: "Plaid's SDK walks through …" */
  through: string;
  walk(walker: Walker): Promise<void>;
}
