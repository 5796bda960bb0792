/**
 * The port through which stored webhooks are read: the audit trail. An engine finds the webhooks of an item or a user, by type, by type
 * and code, or by source; of an integration; or all; newest first.
 */
import type { Source } from "./webhook.ts";

export interface WebhookFilter {
  item_id?: string | undefined;
  user_id?: string | undefined;
  type?: string | undefined;
  code?: string | undefined;
  source?: Source | undefined;
  integration_id?: string | undefined;
  /** 1 to 500; 50 by default */
  limit?: number | undefined;
  /** `next_cursor` of the previous page */
  cursor?: string | null | undefined;
}

export interface WebhookRecord {
  /** `whk_…` */
  id: string;
  integration_id: string;
  source: Source;
  item_id: string | null;
  user_id: string | null;
  webhook_type: string | null;
  webhook_code: string | null;
  environment: string | null;
  /** ISO 8601 */
  received_at: string;
  /** the body, parsed, without tokens; `{}` where it is not a JSON object */
  webhook: Record<string, unknown>;
  /** tokens in `webhook` were replaced by [cut] */
  tokens_cut: boolean;
  /** null for a webhook that was not Plaid's */
  verification: { key_id: string; signed_at: string; body_sha256: string } | null;
  /** ISO 8601; null while it waits for a run */
  processed_at: string | null;
  /** the summary of the run that served it */
  update_info: Record<string, unknown> | null;
}

export interface WebhookPage {
  data: WebhookRecord[];
  next_cursor: string | null;
}

export interface Records {
  /**
   * One page, newest first. It may hold fewer webhooks than `limit`, or none, and still name a next page.
   * @throws TartanError `invalid_request` for a limit, cursor or filter that is not usable
   */
  list(filter: WebhookFilter): Promise<WebhookPage>;
  /** The webhook `whk_…`, or null where there is none. */
  get(id: string): Promise<WebhookRecord | null>;
}
