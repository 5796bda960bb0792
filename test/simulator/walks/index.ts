/** Every walk; the paths of all of them, with those of conformance.test.ts, are all paths that the simulator answers. */
import { identity } from "./identity.ts";
import { items } from "./items.ts";
import { payments } from "./payments.ts";
import { assetReports, linkSessions } from "./reports.ts";
import { transfers } from "./transfers.ts";
import { income, plaidCheck, users } from "./users.ts";
import type { Walk } from "./walk.ts";

export const WALKS: readonly Walk[] = [
  items,
  identity,
  payments,
  transfers,
  users,
  income,
  plaidCheck,
  assetReports,
  linkSessions,
];
