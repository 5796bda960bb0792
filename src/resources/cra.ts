/**
 * What the resources of Plaid Check have in common (https://plaid.com/docs/api/products/check/). Making a report costs nothing but its
 * partner insights; Plaid bills each part when it is read, so each is `billed`.
 */
import type { SnapshotFetch, Touch } from "./types.ts";

/** A report can be read for 24 hours; then Plaid refuses, and the mirror keeps what it has until the next report. */
export const REPORT_READY: readonly Touch[] = [
  { type: "CHECK_REPORT", codes: ["CHECK_REPORT_READY", "USER_CHECK_REPORT_READY"] },
  { type: "CRA_REPORT" },
];

/** A part of the user's newest report. */
export const reportFetch = (part: string, body?: Record<string, unknown>): SnapshotFetch => ({
  kind: "snapshot",
  endpoint: `/cra/check_report/${part}/get`,
  none: ["CONSUMER_REPORT_NOT_FOUND"],
  ...(body === undefined ? {} : { body: () => body }),
});
