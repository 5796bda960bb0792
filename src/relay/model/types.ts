/**
 * The types that the folders of relay/ share: destinations, routes, events and the result of an attempt. Names in snake_case
 * are those of the API.
 */

/** What a destination receives: the webhook's own bytes, the webhook wrapped, the event, or the output of a transform. */
export const FORMS = ["original", "webhook", "event", "transform"] as const;
export type Form = (typeof FORMS)[number];

export const ORDERINGS = ["parallel", "per_item"] as const;
export type Ordering = (typeof ORDERINGS)[number];

/** Which events a route takes. Each list that is given must contain the event's value; an absent list takes all. */
export interface RouteFilter {
  /** event types, `item.*` for all of a family, `*` for all but the operator's own (delivery.*, destination.*, relay.*) */
  types?: readonly string[] | undefined;
  integration_ids?: readonly string[] | undefined;
  environments?: readonly string[] | undefined;
  item_ids?: readonly string[] | undefined;
  user_ids?: readonly string[] | undefined;
  /** only webhook.received has these three; no other event matches a list of them */
  webhook_types?: readonly string[] | undefined;
  webhook_codes?: readonly string[] | undefined;
  sources?: readonly string[] | undefined;
  /** also takes the events of a first reading; false by default */
  history?: boolean | undefined;
}

export interface RouteDefinition {
  filter: RouteFilter;
  /** a JSON matcher on the webhook's body, or on the event's data; null takes all */
  match: Record<string, unknown> | null;
  form: Form;
  /** a JSONata expression; given with form `transform` only */
  transform: string | null;
}

/** An enabled route as the dispatcher uses it. */
export interface ActiveRoute {
  id: string;
  version: number;
  destinationId: string;
  ordering: Ordering;
  definition: RouteDefinition;
}

/** The fields of an event that a filter compares, without the payload. */
export interface EventFacts {
  /** UUID of the row in journal.webhooks for webhook.received, otherwise in events.events */
  id: string;
  type: string;
  integrationId: string | null;
  environment: string | null;
  itemId: string | null;
  userId: string | null;
  /** what it is about, where that is known */
  subjectKind: string | null;
  subjectId: string | null;
  history: boolean;
  /** null but for webhook.received */
  webhookType: string | null;
  webhookCode: string | null;
  source: string | null;
}

/** An event whose payload has not been read, with the payload's size in bytes. */
export interface SizedEvent extends EventFacts {
  size: number;
}

/** An event with its payload. */
export interface EventSource extends EventFacts {
  occurredAt: Date;
  /** webhook.received: the webhook's body as it was received; otherwise the event as JSON */
  bytes: Buffer;
  /** Plaid's own Plaid-Verification header of a webhook; else null */
  verification: string | null;
  keyId: string | null;
  signedAt: Date | null;
}

/** A destination as its delivery worker uses it, with its headers and keys unsealed. */
export interface LoadedDestination {
  id: string;
  version: number;
  url: string;
  /** custom headers, lower-case names */
  headers: Record<string, string>;
  ca: string | null;
  timeoutMs: number;
  /** seconds before each retry */
  schedule: readonly number[];
  rate: { limit: number; windowMs: number } | null;
  concurrency: number;
  ordering: Ordering;
  disableAfterS: number;
  paused: boolean;
  disabled: boolean;
  /** those that had not expired when it was loaded, newest first; each signs until it expires */
  keys: readonly { scheme: "v1" | "v1a"; secret: string; expiresAt: Date | null }[];
}

/** The result of one attempt to send. */
export interface Exchange {
  durationMs: number;
  /** of the receiver; null where there was no connection */
  address: string | null;
  status: number | null;
  /** stable code, null for a success: see CAUSES in causes.ts */
  cause: string | null;
  headers: Record<string, string>;
  /** the first 16 KiB of the answer */
  head: Buffer;
  /** what Retry-After asks for */
  retryAfterMs: number | null;
  /** what the receiver asks for by a `webhook-delivery` header */
  control: "abort-message" | "disable" | null;
}

/** The type of the event of a test delivery. It is never recorded as an event. */
export const TEST_EVENT = "destination.test";
