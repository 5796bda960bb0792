/**
 * The notices of an item after a run, from those before it and what the run learnt. Pure.
 *
 *   announced by a webhook, or /item/get says so ──▶ open ──▶ cleared: by a repair that came later than the announcement, by what Plaid
 *                                                             answers now, or because its time has passed and the item is well
 *
 * A repair counts only where /item/get was answered and names no error for which the user must act. Where /item/get has a field for what a
 * notice says, the field is right: a repair does not clear a consent that still ends soon.
 */
import type { NoticeEnd, NoticeKind, RepairedBy } from "../model/statuses.ts";
import { classify } from "../plaid/errors.ts";

/** An open notice of an item. */
export interface Notice {
  kind: NoticeKind;
  /** the product or the account; empty: the item itself */
  about: string;
  since: Date;
  /** when it was last announced: only a later repair clears it */
  announcedAt: Date;
  /** when what it warns of happens, or when it goes by itself; null: neither is known */
  until: Date | null;
  details: NoticeDetails;
  /** UUID; null: /item/get said so */
  webhookId: string | null;
}

export interface NoticeDetails {
  /** Plaid's, such as INSTITUTION_MIGRATION */
  reason?: string;
  /** Plaid named no time, so `until` is a week after the announcement */
  estimated?: true;
  /** the item listed the product already when Plaid announced that its permission is missing */
  listed?: boolean;
}

type Item = Readonly<Record<string, unknown>>;

/** What a webhook announces. */
export interface Announcement extends Pick<Notice, "kind" | "about" | "details"> {
  at: Date;
  /** null: the webhook does not say */
  until: Date | null;
  webhookId: string;
}

/** Somebody's word that the item was repaired. */
export interface Repair {
  by: RepairedBy;
  at: Date;
}

/** What a run learnt. */
export interface News {
  /** the database's clock */
  now: Date;
  announcements: readonly Announcement[];
  repairs: readonly Repair[];
  /** the answer of /item/get; null where there is none */
  item: Item | null;
  /** the item's row before the run, where it changed */
  before: Item | null;
  /** accounts were added that an earlier reading did not have */
  accountsAdded: boolean;
  /** which of the accounts that notices name Plaid has now; null where the accounts were not read */
  accounts: ReadonlySet<string> | null;
}

export interface NextNotices {
  open: Notice[];
  cleared: { notice: Notice; by: NoticeEnd }[];
  /** those that no webhook announced */
  noticed: Notice[];
}

/** The notices that each repair clears. */
export const CLEARED_BY: Readonly<Record<RepairedBy, readonly NoticeKind[]>> = {
  login_repaired: ["consent_expiring", "disconnect_pending"],
  item_updated: ["consent_expiring", "disconnect_pending", "new_accounts", "permissions_required", "account_revoked"],
  link_session: ["consent_expiring", "disconnect_pending", "new_accounts", "permissions_required", "account_revoked"],
};

export const DAY_MS = 86_400_000;
/** Plaid announces the end of a consent and of a connection a week before. */
const AHEAD_MS = 7 * DAY_MS;
/** A consent that ends later than so after the announcement of its end was renewed meanwhile. */
const RENEWED_MS = 14 * DAY_MS;
/** A consent that is renewed ends months later; a time that differs by less is the same. */
const SAME_TIME_MS = 3_600_000;
/** Nothing says that a user will never share a revoked account again. */
export const REVOKED_SHOWN_MS = 30 * DAY_MS;
/** Of each kind. */
const OPEN_MAX = 100;

/** What distinguishes the notices of an item. */
export const keyOf = ({ kind, about }: Pick<Notice, "kind" | "about">): string => `${kind} ${about}`;

export function nextNotices(before: readonly Notice[], news: News): NextNotices {
  const open = new Map(before.map((notice) => [keyOf(notice), notice]));
  const known = new Set(open.keys());
  const cleared: NextNotices["cleared"] = [];
  const clear = (notice: Notice, by: NoticeEnd): void => {
    open.delete(keyOf(notice));
    cleared.push({ notice, by });
  };
  for (const happened of inOrder(news)) {
    if ("kind" in happened) announce(open, happened, news);
    else for (const notice of open.values()) if (clears(happened, notice, news)) clear(notice, happened.by);
  }
  const noticed = noticeConsent(open, news);
  for (const notice of open.values()) {
    const by = endOf(notice, news, known.has(keyOf(notice)));
    if (by !== null) clear(notice, by);
  }
  // A notice that went and came again within the run is open.
  return { open: [...open.values()], cleared: cleared.filter(({ notice }) => !open.has(keyOf(notice))), noticed };
}

const inOrder = ({ announcements, repairs }: News): (Announcement | Repair)[] =>
  [...announcements, ...repairs].toSorted((a, b) => a.at.getTime() - b.at.getTime());

function announce(open: Map<string, Notice>, announcement: Announcement, { item, now }: News): void {
  const { kind, about, at, webhookId } = announcement;
  const earlier = open.get(keyOf(announcement));
  if (!earlier && [...open.values()].filter((notice) => notice.kind === kind).length >= OPEN_MAX) return;
  const details = { ...earlier?.details, ...announcement.details };
  if (kind === "permissions_required") details.listed ??= item === null || lists(item, about);
  open.set(keyOf(announcement), {
    kind,
    about,
    since: earlier?.since ?? at,
    announcedAt: at,
    webhookId,
    ...untilOf(announcement, details, knownEnd(announcement, earlier, consentEnd(item, now))),
  });
}

/** The time of what an announcement warns of where the announcement has none: that of /item/get, or of an earlier announcement. */
function knownEnd({ kind, at }: Announcement, earlier: Notice | undefined, consentEnds: Date | null): Date | null {
  if (kind === "consent_expiring" && consentEnds !== null && consentEnds.getTime() <= at.getTime() + RENEWED_MS)
    return consentEnds;
  if (!earlier?.until || earlier.details.estimated) return null;
  return earlier.until > at ? earlier.until : null;
}

function untilOf(
  { kind, at, until }: Announcement,
  details: NoticeDetails,
  knownFrom: Date | null,
): Pick<Notice, "until" | "details"> {
  if (kind === "account_revoked") return { until: new Date(at.getTime() + REVOKED_SHOWN_MS), details };
  if (kind !== "consent_expiring" && kind !== "disconnect_pending") return { until: null, details };
  const { estimated: _, ...said } = details;
  const known = until ?? knownFrom;
  if (known !== null) return { until: known, details: said };
  return { until: new Date(at.getTime() + AHEAD_MS), details: { ...said, estimated: true } };
}

/** Whether the repair came after what the notice says, and is about that. Whether it counts is for Plaid to say. */
export const repairs = ({ by, at }: Repair, { kind, announcedAt }: Notice): boolean =>
  CLEARED_BY[by].includes(kind) && announcedAt <= at;

const clears = (repair: Repair, notice: Notice, { item, now }: News): boolean =>
  repairs(repair, notice) && isWell(item) && !(notice.kind === "consent_expiring" && endsStill(notice, item, now));

/** Plaid answered, and names no error for which the user must act or that ended the item. */
export const isWell = (item: Item | null): item is Item => item !== null && !needsUser(item["error"]);

function needsUser(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { error_type: type, error_code: code } = error as Record<string, unknown>;
  const found = classify(String(type), String(code));
  return found === "user" || found === "item_ended";
}

/** The time in the future at which the consent ends, as /item/get has it; null where it has none. */
function consentEnd(item: Item | null, now: Date): Date | null {
  const time = timeOf(item?.["consent_expiration_time"]);
  return time !== null && time > now ? time : null;
}

/** The end of the year 9999. Postgres refuses instants that are far from ours, which would fail each run of the item. */
const LAST_MS = 253_402_300_799_999;

/** An instant of Plaid's; null for what is none, or before 1970 or after the year 9999. */
export function timeOf(value: unknown): Date | null {
  const time = typeof value === "string" ? new Date(value) : null;
  return time !== null && time.getTime() >= 0 && time.getTime() <= LAST_MS ? time : null;
}

const hasMoved = ({ until }: Notice, ends: Date): boolean =>
  until !== null && ends.getTime() > until.getTime() + SAME_TIME_MS;

function endsStill(notice: Notice, item: Item, now: Date): boolean {
  const ends = consentEnd(item, now);
  return ends !== null && !hasMoved(notice, ends);
}

/** Opens the notice of a consent that ends within a week although no webhook said so. @returns those that it opened */
function noticeConsent(open: Map<string, Notice>, { item, now }: News): Notice[] {
  const ends = consentEnd(item, now);
  if (ends === null || ends.getTime() > now.getTime() + AHEAD_MS) return [];
  const key = keyOf({ kind: "consent_expiring", about: "" });
  const earlier = open.get(key);
  // Nothing to write.
  if (earlier?.until?.getTime() === ends.getTime() && !earlier.details.estimated) return [];
  const notice: Notice = {
    kind: "consent_expiring",
    about: "",
    since: now,
    announcedAt: now,
    webhookId: null,
    ...earlier,
    details: {},
    until: ends,
  };
  open.set(key, notice);
  return earlier ? [] : [notice];
}

/** Why the notice goes with what Plaid answered; null: it stays. `earlier`: it was open before the run. */
function endOf(notice: Notice, news: News, earlier: boolean): NoticeEnd | null {
  const { item, now, before, accounts, accountsAdded } = news;
  if (notice.kind === "new_accounts" && accountsAdded) return "noticed";
  if (notice.kind === "account_revoked" && earlier && accounts?.has(notice.about)) return "noticed";
  if (item === null) return null;
  if (notice.kind === "consent_expiring" && isRenewed(notice, news)) return "noticed";
  if (notice.kind === "permissions_required" && notice.details.listed === false && lists(item, notice.about))
    return "noticed";
  if (!isWell(item)) return null;
  const ofLogin = notice.kind === "consent_expiring" || notice.kind === "disconnect_pending";
  const isStill = notice.kind === "consent_expiring" && endsStill(notice, item, now);
  if (ofLogin && earlier && !isStill && needsUser(before?.["error"])) return "noticed";
  return notice.until !== null && notice.until <= now ? "passed" : null;
}

/** The consent ends later than the notice says, or /item/get names no end any more. */
function isRenewed(notice: Notice, { item, before, now }: News): boolean {
  const ends = consentEnd(item, now);
  if (ends !== null) return hasMoved(notice, ends);
  const named = (row: Item | null): boolean => (row?.["consent_expiration_time"] ?? null) !== null;
  return named(before) && !named(item);
}

/** Whether the item has the product, or its user's consent to it. */
const lists = (item: Item, product: string): boolean =>
  ["products", "consented_products"].some((field) => {
    const products = item[field];
    return Array.isArray(products) && products.includes(product);
  });
