/**
 * Every walk, the one that moves the clock by days last. The paths of all of them are all paths that the simulator serves.
 */
import { identity } from "./identity.ts";
import { issues } from "./issues.ts";
import { investments } from "./investments.ts";
import { items } from "./items.ts";
import { payments } from "./payments.ts";
import { processors } from "./processors.ts";
import { assetReports, linkSessions } from "./reports.ts";
import { transfers } from "./transfers.ts";
import { verifications } from "./verifications.ts";
import { wallets } from "./wallets.ts";
import { income, plaidCheck, users } from "./users.ts";
import { updateMode } from "./update-mode.ts";
import { webhookEvents } from "./webhook-events.ts";
import type { Walk } from "./walk.ts";

export const WALKS: readonly Walk[] = [
  items,
  identity,
  issues,
  investments,
  payments,
  transfers,
  wallets,
  verifications,
  users,
  income,
  plaidCheck,
  assetReports,
  linkSessions,
  processors,
  updateMode,
  webhookEvents,
];
