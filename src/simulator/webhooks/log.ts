/**
 * The webhook log: the newest webhooks with their attempts and answers, which `GET /_simulator/webhooks` shows.
 */
export interface Attempt {
  /** when, on the simulator's clock */
  at: string;
  kid: string;
  /** Unix seconds, as in the token */
  iat: number;
  /** the SHA-256 of the Plaid-Verification header, in hex; null where there was none */
  jwt_sha256: string | null;
  /** null: no answer */
  http_status: number | null;
  error: string | null;
  duration_ms: number;
  /** a copy sent by the duplicate_webhooks fault */
  duplicate: boolean;
}

/** pending → delivered, or failed after the last attempt; dropped was never sent */
export type SentStatus = "pending" | "delivered" | "failed" | "dropped";

export interface SentWebhook {
  webhook_id: string;
  item_id: string | null;
  url: string;
  webhook_type: string | null;
  webhook_code: string | null;
  created_at: string;
  status: SentStatus;
  next_attempt_at: string | null;
  attempts: Attempt[];
  /** the exact text */
  body: string;
}

export interface SentFilter {
  item_id?: string | undefined;
  webhook_type?: string | undefined;
  webhook_code?: string | undefined;
  status?: SentStatus | undefined;
  limit?: number | undefined;
}

export class SentLog {
  #keep: number;
  #entries: SentWebhook[] = [];
  #clients = new WeakMap<SentWebhook, string>();
  total = 0;

  constructor(keep: number) {
    this.#keep = keep;
  }

  /** `clientId`: the client to whom Plaid sent it; null for a forgery */
  add(entry: SentWebhook, clientId: string | null): void {
    this.total += 1;
    this.#entries.push(entry);
    if (clientId !== null) this.#clients.set(entry, clientId);
    // Removes a tenth of the capacity at a time, so that the list is not copied for each webhook.
    if (this.#entries.length > this.#keep * 1.1) this.#entries.splice(0, this.#entries.length - this.#keep);
  }

  /** The webhooks that have a type and a code and went to this client, oldest first. */
  sentTo(clientId: string): SentWebhook[] {
    return this.#entries.filter(
      (entry) => this.#clients.get(entry) === clientId && entry.webhook_type !== null && entry.webhook_code !== null,
    );
  }

  /** Oldest first; with `limit`, the newest that many. */
  find(filter: SentFilter): SentWebhook[] {
    const found = this.#entries.filter(
      (entry) =>
        (filter.item_id === undefined || entry.item_id === filter.item_id) &&
        (filter.webhook_type === undefined || entry.webhook_type === filter.webhook_type) &&
        (filter.webhook_code === undefined || entry.webhook_code === filter.webhook_code) &&
        (filter.status === undefined || entry.status === filter.status),
    );
    return filter.limit === undefined ? found : found.slice(-filter.limit);
  }
}
