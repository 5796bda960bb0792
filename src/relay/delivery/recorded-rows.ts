/** Encodes results and health as the JSON arrays that RECORD and KEEP_HEALTH read. */
import { cutTokens } from "../../model/cut-tokens.ts";
import { cutLookalikes } from "../../tokens.ts";
import type { Health } from "./circuit-breaker.ts";
import type { DeliveryResult } from "./delivery-result.ts";

/** The health of a destination, and the epoch in which this worker saw it. */
export interface HealthState {
  destinationId: string;
  epoch: number;
  health: Health;
}

export const NO_BYTES = Buffer.alloc(0);

export function encodeResults(results: readonly DeliveryResult[]): string {
  return JSON.stringify(
    results.map((result) => {
      const { exchange, sha256 } = result;
      return {
        id: result.deliveryId,
        destinationId: result.destinationId,
        epoch: result.epoch,
        number: result.number,
        tries: result.tries,
        startedAt: result.startedAt,
        durationMs: exchange === null ? null : Math.round(exchange.durationMs),
        url: result.url,
        address: exchange?.address ?? null,
        status: exchange?.status ?? null,
        cause: result.cause,
        detail: result.detail,
        // A receiver may send back what it received, tokens included.
        headers: exchange && withoutTokens(exchange.headers),
        head: exchange && cutTokens(exchange.head).bytes.toString("base64"),
        jobId: result.jobId,
        outcome: result.outcome,
        dueInMs: result.dueInMs,
        sha256: sha256?.toString("hex") ?? null,
      };
    }),
  );
}

const withoutTokens = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, cutLookalikes(value)]));

export const encodeHealth = (states: readonly HealthState[]): string =>
  JSON.stringify(
    states.map(({ destinationId, epoch, health }) => ({ destination_id: destinationId, epoch, ...health })),
  );
