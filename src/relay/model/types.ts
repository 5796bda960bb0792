/**
 * The words that the files of relay/ share: what a destination and a route say, what a delivery is, and what came of an
 * attempt. Names in snake_case are as the API shows them; the others stay inside.
 */

/** What a destination is sent: the webhook's own bytes, the webhook wrapped, the event, or what a transform makes of it. */
export const FORMS = ["original", "webhook", "event", "transform"] as const;
export type Form = (typeof FORMS)[number];

export const ORDERINGS = ["parallel", "per_item"] as const;
export type Ordering = (typeof ORDERINGS)[number];

/** Which events a route takes: each list that is given must hold the event's value; one that is absent takes all. */
export interface RouteFilter {
  /** event types, `item.*` for all of a family, `*` for all but the operator's own (delivery.*, destination.*, relay.*) */
  types?: readonly string[];
  integration_ids?: readonly string[];
  environments?: readonly string[];
  item_ids?: readonly string[];
  user_ids?: readonly string[];
  /** of webhook.received only: other events have none and do not match */
  webhook_types?: readonly string[];
  webhook_codes?: readonly string[];
  sources?: readonly string[];
  /** events of a first reading are taken too; false by default */
  history?: boolean;
}

export interface RouteDefinition {
  filter: RouteFilter;
  /** a JSON matcher on the webhook's body, or on the event's data; null takes all */
  match: Record<string, unknown> | null;
  form: Form;
  /** a JSONata expression; given with form `transform` only */
  transform: string | null;
}

/** A route as dispatch uses it. */
export interface ActiveRoute {
  id: string;
  version: number;
  destinationId: string;
  ordering: Ordering;
  definition: RouteDefinition;
}

/** An event as routes look at it; what a filter needs, without its payload. */
export interface EventFacts {
  /** UUID: of journal.webhooks for webhook.received, else of journal.events */
  id: string;
  type: string;
  integrationId: string | null;
  environment: string | null;
  itemId: string | null;
  userId: string | null;
  history: boolean;
  /** null but for webhook.received */
  webhookType: string | null;
  webhookCode: string | null;
  source: string | null;
}

/** An event whose payload is not read, but known to be so many bytes. */
export interface SizedEvent extends EventFacts {
  size: number;
}

/** An event with its bytes. */
export interface EventSource extends EventFacts {
  occurredAt: Date;
  /** webhook.received: the webhook's body as it came; else the event as JSON */
  bytes: Buffer;
  /** Plaid's own Plaid-Verification header of a webhook; else null */
  verification: string | null;
  keyId: string | null;
  signedAt: Date | null;
}

/** A destination as its courier uses it: opened, checked, with its keys. */
export interface OpenDestination {
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
  /** those that had not expired when it was opened, newest first; each signs until it expires */
  keys: readonly { scheme: "v1" | "v1a"; secret: string; expiresAt: Date | null }[];
}

/** What came of one HTTP exchange. */
export interface Exchange {
  durationMs: number;
  /** of the receiver; null where no connection came about */
  address: string | null;
  status: number | null;
  /** stable code, null for 2xx: see CAUSES in verdict.ts */
  cause: string | null;
  headers: Record<string, string>;
  /** the first 16 KiB of the answer */
  head: Buffer;
  /** what Retry-After asks for */
  retryAfterMs: number | null;
  /** what the receiver asks for by a `webhook-delivery` header */
  control: "abort-message" | "disable" | null;
}
