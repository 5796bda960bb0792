/** All statuses: each list is declared only here. A test compares the checks of the tables with them. */

/** The sync status of an item or of another subject. */
export const ITEM_STATUSES = [
  "pending",
  "ok",
  "retrying",
  "waiting",
  "needs_user",
  "ended",
  "misconfigured",
  "unlinked",
] as const;
export type ItemStatus = (typeof ITEM_STATUSES)[number];

/** What the user of an item must do or know while its data still flows. */
export const NOTICE_KINDS = [
  "consent_expiring",
  "disconnect_pending",
  "new_accounts",
  "permissions_required",
  "account_revoked",
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** Who says that an item was repaired: Plaid's LOGIN_REPAIRED, your ITEM/UPDATED, or a session of Link in update mode. */
export const REPAIRS = ["login_repaired", "item_updated", "link_session"] as const;
export type RepairedBy = (typeof REPAIRS)[number];

/** Why a notice went: a repair, what Plaid answered, or its time has passed and the item is well. */
export const NOTICE_ENDS = [...REPAIRS, "noticed", "passed"] as const;
export type NoticeEnd = (typeof NOTICE_ENDS)[number];

/** The deliveries of a destination that is not active are held. */
export const DESTINATION_STATUSES = ["active", "paused", "disabled"] as const;
export type DestinationStatus = (typeof DESTINATION_STATUSES)[number];

/** The circuit of a destination. */
export const BREAKER_STATES = ["closed", "open", "half_open"] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

/** The statuses of a delivery that its row has. */
export const STORED_DELIVERY_STATUSES = ["scheduled", "delivered", "dead", "cancelled"] as const;

/** `held`: scheduled, while the destination's deliveries are held. */
export const DELIVERY_STATUSES = ["scheduled", "held", "delivered", "dead", "cancelled"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** What a list of deliveries can be filtered by. `undelivered`: scheduled, held or dead. */
export const DELIVERY_FILTER_STATUSES = [...DELIVERY_STATUSES, "undelivered"] as const;
export type DeliveryFilterStatus = (typeof DELIVERY_FILTER_STATUSES)[number];

export const JOB_KINDS = ["redrive", "replay", "route_past"] as const;
export type JobKind = (typeof JOB_KINDS)[number];

/** Jobs about many items. */
export const FLEET_KINDS = ["webhook_move", "backfill", "check"] as const;
export type FleetKind = (typeof FLEET_KINDS)[number];

/** What the runner of a fleet job does next with a member. */
export const MEMBER_PHASES = ["queued", "following", "outstanding", "done", "failed"] as const;
export type MemberPhase = (typeof MEMBER_PHASES)[number];

export const JOB_STATUSES = ["running", "paused", "cancelled", "done"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** What still needs the webhooks of a week: a sync run, the dispatch, or deliveries that are scheduled or dead letters. */
export const WEEK_NEEDS = ["unprocessed", "undispatched", "undelivered"] as const;
export type WeekNeed = (typeof WEEK_NEEDS)[number];

/** A public token of Link, from its arrival until it is an item. */
export const PUBLIC_TOKEN_STATUSES = ["pending", "exchanging", "linked", "failed"] as const;
export type PublicTokenStatus = (typeof PUBLIC_TOKEN_STATUSES)[number];

/** Why a public token did not become an item. */
export const PUBLIC_TOKEN_REASONS = ["expired", "exchanged_elsewhere", "lost", "refused"] as const;
export type PublicTokenReason = (typeof PUBLIC_TOKEN_REASONS)[number];
