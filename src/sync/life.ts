/**
 * The life of an item: the states that it can have, how it moves between them, and the notices that may stand beside its state. Everything
 * that says so in words takes it from here: the API, the commands, the events, and docs/items.md with its picture.
 *
 *   a token comes ──▶ pending ──▶ ok ◀──▶ waiting, retrying, needs_user, misconfigured ──▶ ended, unlinked
 *
 * Each run of an item that has a token decides its next state anew, by the gravest failure (decision.ts), so any of the states with a
 * token may follow any other.
 */
import type { ItemStatus, NoticeEnd, NoticeKind } from "../model/statuses.ts";
import type { Notice } from "./next-notices.ts";

/** What a status says, for people. */
export interface State {
  /** what it means, in one sentence */
  meaning: string;
  /** when an item comes to it */
  when: string;
  /** what you can rely on in the mirror meanwhile */
  data: string;
  /** how Tartan goes on by itself */
  onward: string;
  /** what to do; null: nothing. Where Plaid names an error, the error has a next step of its own */
  next_step: string | null;
}

export const STATES: Readonly<Record<ItemStatus, State>> = {
  pending: {
    meaning: "The item is linked, and its first sync has not ended.",
    when: "its access token came",
    data: "nothing yet",
    onward: "The first sync begins at once.",
    next_step: null,
  },
  ok: {
    meaning: "The mirror equals Plaid, as of `verified_at`.",
    when: "everything that it has could be read",
    data: "equal to Plaid",
    onward: "A webhook brings the next sync; reconciliation asks Plaid where none comes.",
    next_step: null,
  },
  waiting: {
    meaning: "Plaid does not have all of the data yet.",
    when: "Plaid answers PRODUCT_NOT_READY or the like",
    data: "what Plaid has so far",
    onward: "Tartan tries again at each webhook, and at growing intervals up to a day.",
    next_step: null,
  },
  retrying: {
    meaning: "The bank or Plaid fails for now, or Tartan waits for a rate limit.",
    when: "a request failed in a way that passes, such as an outage of the institution",
    data: "as it was; what could be read is up to date",
    onward: "Tartan tries again at growing intervals up to an hour.",
    next_step: null,
  },
  needs_user: {
    meaning: "Its user must act, or Plaid cannot serve the item for now.",
    when: "Plaid says that its user must log in again, or that it cannot serve the item",
    data: "as it was",
    onward: "Tartan tries again at each webhook, and once a day.",
    next_step: "Send the user through Link in update mode.",
  },
  misconfigured: {
    meaning:
      "Plaid refuses the keys of the integration, the item's token, or a request. The cause is not the item's user.",
    when: "Plaid refuses the client, the token or the request",
    data: "as it was",
    onward:
      "Tartan tries again at growing intervals up to six hours, and at once when you correct the integration or the token.",
    next_step: "See `last_error`, and correct the integration or the item's token.",
  },
  ended: {
    meaning: "Plaid no longer has the item: it was removed, or its user withdrew the permission.",
    when: "Plaid answers that the item is gone, or that its user withdrew the permission",
    data: "its rows have `removed_at`",
    onward:
      "Nothing more is read, unless a webhook about it comes or you request a sync. Then Tartan asks Plaid again.",
    next_step: "Ask the user to link the account again, where you need it. Then unlink this item.",
  },
  unlinked: {
    meaning: "Tartan has no access token of the item.",
    when: "you unlinked it, or a webhook named an item whose token has not come",
    data: "its rows stay as they were",
    onward: "Webhooks about it are kept, and cause no sync.",
    next_step: "Post ITEM/CREATED with its access token to the intake URL, where it should be synced.",
  },
};

/** The states of an item that has a token and that Plaid has: a run decides between them. */
export const LIVE = [
  "pending",
  "ok",
  "waiting",
  "retrying",
  "needs_user",
  "misconfigured",
] as const satisfies readonly ItemStatus[];

/** Every way from one state to another. */
export const MOVES: readonly { from: ItemStatus; to: ItemStatus; when: string }[] = [
  ...LIVE.flatMap((from) =>
    [...LIVE, "ended" as const]
      .filter((to) => to !== "pending" && to !== from)
      .map((to) => ({ from, to, when: STATES[to].when })),
  ),
  // A webhook came about it, or a sync was requested, and Plaid has it again.
  ...LIVE.filter((to) => to !== "pending").map((to) => ({ from: "ended" as const, to, when: STATES[to].when })),
  ...[...LIVE, "ended" as const].map((from) => ({ from, to: "unlinked" as const, when: "you unlink it" })),
  ...(["needs_user", "misconfigured", "retrying", "ended", "unlinked"] as const).map((from) => ({
    from,
    to: "pending" as const,
    when: "its token comes: ITEM/CREATED, POST /v1/items, or a session of Link",
  })),
];

export const canMove = (from: ItemStatus, to: ItemStatus): boolean =>
  from === to || MOVES.some((move) => move.from === from && move.to === to);

/** What a kind of notice says, for people. */
export interface NoticeWords {
  /** one sentence without a time */
  meaning: string;
  /** what Tartan takes it from, besides the webhook */
  alsoFrom: string | null;
  message: (notice: Pick<Notice, "about" | "until" | "details">, now: Date) => string;
  next_step: string;
  /** when it goes without a repair */
  goes: string;
}

const day = (time: Date): string => `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
const about = ({ details }: Pick<Notice, "details">): string => (details.estimated ? "about " : "");
const BEFORE_THEN =
  "Send the user through Link in update mode before then. If Tartan did not make the Link token, post ITEM/UPDATED afterwards.";

export const NOTICES: Readonly<Record<NoticeKind, NoticeWords>> = {
  consent_expiring: {
    meaning: "The user's consent ends soon; then the item gives no more data.",
    alsoFrom: "`consent_expiration_time` of /item/get lies within a week",
    message: (notice, now) => {
      const { until } = notice;
      if (until === null) return "The user's consent ends soon.";
      return until > now
        ? `The user's consent ends at ${about(notice)}${day(until)}; then the item gives no more data.`
        : `The user's consent ended at ${about(notice)}${day(until)}.`;
    },
    next_step: BEFORE_THEN,
    goes: "`consent_expiration_time` has moved on; or the time has passed and the item is well",
  },
  disconnect_pending: {
    meaning: "The institution will disconnect the item.",
    alsoFrom: null,
    message: (notice, now) => {
      const { until, details } = notice;
      const why = details.reason === undefined ? "" : ` (${details.reason})`;
      if (until === null) return `The institution will disconnect the item soon${why}.`;
      return until > now
        ? `The institution will disconnect the item at ${about(notice)}${day(until)}${why}.`
        : `The institution was to disconnect the item at ${about(notice)}${day(until)}${why}.`;
    },
    next_step: BEFORE_THEN,
    goes: "the time has passed and the item is well",
  },
  new_accounts: {
    meaning: "The user has accounts at the institution that the item does not include.",
    alsoFrom: null,
    message: () => "The user has accounts at the institution that the item does not include.",
    next_step:
      "Where you want them, send the user through Link in update mode with account selection. If Tartan did not make the Link token, post ITEM/UPDATED afterwards.",
    goes: "new accounts of the item were read",
  },
  permissions_required: {
    meaning: "The user did not grant a product.",
    alsoFrom: null,
    message: (notice) => `The user did not grant the product ${notice.about}.`,
    next_step:
      "Send the user through Link in update mode with this product. If Tartan did not make the Link token, post ITEM/UPDATED afterwards.",
    goes: "/item/get lists the product, which it did not before",
  },
  account_revoked: {
    meaning: "The user withdrew the permission to access one account; its rows are removed.",
    alsoFrom: null,
    message: (notice) =>
      `The user withdrew the permission to access ${notice.about === "" ? "an account" : `the account ${notice.about}`}; its rows are removed.`,
    next_step:
      "Delete what you hold of the account where you must. Update mode with account selection lets the user share it again.",
    goes: "the account was read again; or 30 days have passed",
  },
};

/** What each reason for which a notice went means, in one sentence. */
export const ENDS: Readonly<Record<NoticeEnd, string>> = {
  login_repaired: "Plaid sent ITEM/LOGIN_REPAIRED.",
  item_updated: "Your backend posted ITEM/UPDATED.",
  link_session: "Its user finished a session of Link in update mode.",
  noticed: "Plaid's answers no longer say so.",
  passed: "Its time has passed, and the item is well.",
};

/** What a notice is about, by the name of the field that shows it. */
export const namedBy = ({
  kind,
  about: name,
}: Pick<Notice, "kind" | "about">): {
  product: string | null;
  account_id: string | null;
} => ({
  product: kind === "permissions_required" ? name : null,
  account_id: kind === "account_revoked" && name !== "" ? name : null,
});
