/** What a run learnt about an item that concerns its notices: from the webhooks that it serves, from repairs, and from Plaid's answers. */
import type { Queryable } from "../database/types.ts";
import type { WaitingWebhook } from "../journal/served.ts";
import { NOTICE_KINDS, type NoticeKind, type RepairedBy } from "../model/statuses.ts";
import { CATALOGUE, knownWebhook } from "../plaid/catalogue.ts";
import { rootOf, rootTable, resourcesOf } from "../resources/index.ts";
import type { Ending, Written } from "./ending.ts";
import { nextNotices, repairs, timeOf, type Announcement, type NextNotices, type Repair } from "./next-notices.ts";
import { presentAccounts } from "./notices.ts";
import type { Outcome } from "./types.ts";

/** The resource, and the table, of an item's accounts. */
const ACCOUNTS = "accounts";
/** Longer ids are none of Plaid's. */
const ABOUT_MAX = 200;

const UNCHANGED: NextNotices = { open: [], cleared: [], noticed: [] };

/** The item's notices after the run; of an item that is gone, or of another subject, there are none. */
export async function noticesAfter(tx: Queryable, ending: Ending, written: Written): Promise<NextNotices> {
  const { claim, decision, notices, outcomes } = ending;
  if (claim.kind !== "item" || decision.gone || decision.status === "unlinked") return UNCHANGED;
  const root = rootOf(resourcesOf(claim.kind));
  const read = outcomeOfRoot(ending);
  const revoked = notices.open.filter(({ kind }) => kind === "account_revoked").map(({ about }) => about);
  const readAccounts = outcomes.some((outcome) => "read" in outcome && outcome.task.resource.name === ACCOUNTS);
  return nextNotices(notices.open, {
    now: claim.claimedAt,
    announcements: announcementsOf(ending),
    repairs: repairsOf(ending),
    item: read && "read" in read ? read.root : null,
    before: written.applied.get((root && rootTable(root)?.name) ?? "")?.before ?? null,
    accountsAdded: ending.statuses.has(ACCOUNTS) && (written.applied.get(ACCOUNTS)?.changes.added ?? 0) > 0,
    accounts: readAccounts && revoked.length > 0 ? await presentAccounts(tx, claim, revoked) : null,
  });
}

const outcomeOfRoot = ({ claim, outcomes }: Pick<Ending, "claim" | "outcomes">): Outcome | undefined => {
  const root = rootOf(resourcesOf(claim.kind));
  return outcomes.find((outcome) => outcome.task.resource === root);
};

/**
 * Whether the run has opened a notice of before a repair and has not asked Plaid about the item, since it only continued a loop for which
 * the webhooks of both had to wait: then the next run has to ask.
 */
export function leavesRepaired(ending: Ending, { open }: NextNotices): boolean {
  if (ending.claim.kind !== "item" || outcomeOfRoot(ending) !== undefined) return false;
  const served = new Set(ending.served.map(({ id }) => id));
  const announced = open.filter(({ webhookId }) => webhookId !== null && served.has(webhookId));
  return (
    announced.length > 0 && repairsOf(ending).some((repair) => announced.some((notice) => repairs(repair, notice)))
  );
}

const isNotice = (effect: string | null | undefined): effect is NoticeKind =>
  (NOTICE_KINDS as readonly string[]).includes(effect ?? "");

function announcementsOf({ early, served, announcements }: Ending): Announcement[] {
  return [...early, ...served].flatMap((webhook) => {
    const effect = knownWebhook(webhook.type, webhook.code)?.effect;
    return isNotice(effect) ? [announcementOf(effect, webhook, announcements.get(webhook.id) ?? {})] : [];
  });
}

function announcementOf(
  kind: NoticeKind,
  { id: webhookId, type, sentAt: at }: WaitingWebhook,
  body: Readonly<Record<string, unknown>>,
): Announcement {
  const said = { kind, at, webhookId, about: "", until: null, details: {} };
  const reason = textOf(body["reason"]);
  const details = reason === "" ? {} : { reason };
  if (kind === "consent_expiring") return { ...said, until: timeOf(body["consent_expiration_time"]) };
  if (kind === "disconnect_pending") return { ...said, details, until: timeOf(body["disconnect_time"]) };
  if (kind === "account_revoked") return { ...said, about: textOf(body["account_id"]) };
  // The type of the webhook is Plaid's product in capitals.
  return kind === "permissions_required" ? { ...said, about: String(type).toLowerCase() } : said;
}

const textOf = (value: unknown): string =>
  typeof value === "string" && [...value].length <= ABOUT_MAX ? value.replaceAll("\0", "") : "";

const REPAIRED: Readonly<Record<string, RepairedBy>> = { repaired: "login_repaired", updated: "item_updated" };

/** The codes of the webhooks that open or clear a notice. */
export const NOTICE_CODES: readonly string[] = CATALOGUE.flatMap(({ code, effect, alsoSentAs }) =>
  isNotice(effect) || REPAIRED[effect ?? ""] ? [code, ...alsoSentAs] : [],
);

/** Those of all webhooks that wait: a repair counts even while a webhook waits for a resource that this run could not read. */
export const repairsSaid = ({ early, webhooks }: Pick<Ending, "early" | "webhooks">): Repair[] =>
  [...early, ...webhooks].flatMap(({ type, code, sentAt: at }) => {
    const by = REPAIRED[knownWebhook(type, code)?.effect ?? ""];
    return by === undefined ? [] : [{ by, at }];
  });

const repairsOf = (ending: Ending): Repair[] => [...repairsSaid(ending), ...ending.notices.repairs];
