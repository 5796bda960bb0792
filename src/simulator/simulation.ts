/**
 * The parts of one simulator, and the functions that several endpoints and the control share:
 * sending the client's webhooks, and letting an Item's history arrive.
 */
import { setMaxListeners } from "node:events";
import type { Clock } from "../clock.ts";
import type { Txn } from "./transaction-log.ts";
import { Faults } from "./faults.ts";
import { planFor } from "./history.ts";
import { breakItem } from "./health.ts";
import { bookOf, release, replan, type Item } from "./item.ts";
import { dayOf } from "./days.ts";
import { RateLimits } from "./limits.ts";
import { SimulatedTime } from "./time.ts";
import type { Summary } from "./changes.ts";
import { WebhookSender, type WebhookSenderOptions } from "./webhooks/webhook-sender.ts";
import { WebhookKeys } from "./webhooks/keys.ts";
import type { SentWebhook } from "./webhooks/log.ts";
import {
  bodyText,
  defaultUpdate,
  historicalUpdate,
  initialUpdate,
  syncUpdatesAvailable,
  transactionsRemoved,
  type WebhookNotice,
} from "./webhooks/notices.ts";
import type { ProcessorToken } from "./processors.ts";
import { World, type Client } from "./world.ts";

export interface ExtractionOptions {
  /** from linking to INITIAL_UPDATE (the last 30 days) */
  initialMs: number;
  /** from linking to HISTORICAL_UPDATE (everything) */
  historicalMs: number;
  /** from /transactions/refresh to the webhooks it causes */
  refreshMs: number;
}

export interface SimulationOptions {
  seed: string;
  clock: Clock;
  clients: readonly Client[];
  rateLimitScale: number;
  extraction: ExtractionOptions;
  webhooks: WebhookSenderOptions;
  /** Sandbox Items need a new login after this long; null: never */
  loginExpiresAfterDays: number | null;
  onWebhook?: ((webhook: SentWebhook) => void) | undefined;
  /** an error of the simulator itself; the caller got INTERNAL_SERVER_ERROR */
  onError?: ((error: unknown) => void) | undefined;
}

const INITIAL_DAYS = 30;
const REQUESTS_KEPT = 10_000;
const MS_PER_DAY = 86_400_000;

export class Simulation {
  readonly options: SimulationOptions;
  readonly time: SimulatedTime;
  readonly world: World;
  readonly keys: WebhookKeys;
  readonly faults: Faults;
  readonly limits: RateLimits;
  readonly sender: WebhookSender;
  /** requests answered, by path */
  readonly requests = new Map<string, number>();
  readonly closing: AbortSignal;
  #stop = new AbortController();
  #requestIds;
  #requested = new Map<string, string>();

  constructor(options: SimulationOptions) {
    this.options = options;
    this.closing = this.#stop.signal;
    setMaxListeners(0, this.closing); // one for each request or webhook that is held back
    this.time = new SimulatedTime(options.clock);
    this.world = new World(options.seed);
    for (const client of options.clients) this.world.addClient(client);
    const { random } = this.world;
    this.#requestIds = random.fork("requests");
    this.keys = new WebhookKeys(random.fork("keys"), this.time.now());
    this.faults = new Faults(random.fork("faults"));
    this.limits = new RateLimits(options.rateLimitScale);
    this.sender = new WebhookSender({
      time: this.time,
      keys: this.keys,
      faults: this.faults,
      random: random.fork("courier"), // the label decides the random stream, so it stays
      options: options.webhooks,
      closing: this.closing,
      onAttempt: options.onWebhook,
    });
  }

  requestId(): string {
    return this.#requestIds.id(15);
  }

  /** Remembers the newest requests about Items. */
  noteRequest(requestId: string, itemId: string): void {
    this.#requested.set(requestId, itemId);
    if (this.#requested.size <= REQUESTS_KEPT) return;
    for (const oldest of this.#requested.keys()) {
      this.#requested.delete(oldest);
      break;
    }
  }

  itemOfRequest(requestId: string): string | undefined {
    return this.#requested.get(requestId);
  }

  /** Today on the simulator's clock, as a day number. */
  today(): number {
    return dayOf(this.time.now());
  }

  /** Sends a webhook about an Item to its URL; null when it has none. */
  notify(item: Item, notice: WebhookNotice): SentWebhook | null {
    if (item.webhook === null) return null;
    item.lastWebhook = { at: this.time.now(), code: notice.code };
    return this.sender.send({
      itemId: item.itemId,
      clientId: item.clientId,
      url: item.webhook,
      type: notice.type,
      code: notice.code,
      body: bodyText(notice, item),
    });
  }

  /** Sends a webhook about no Item: to `url`, or to its client's webhook URL; null when there is none. */
  notifyClient(clientId: string, notice: WebhookNotice, url: string | null = null): SentWebhook | null {
    const target = url ?? this.world.clients.get(clientId)?.webhook ?? null;
    if (target === null) return null;
    return this.sender.send({
      itemId: null,
      clientId,
      url: target,
      type: notice.type,
      code: notice.code,
      body: bodyText({ ...notice, withoutItem: true }, { itemId: "", userId: null }),
    });
  }

  /**
   * Sends the webhooks about changed transactions: removals, the number of new ones, and, once the client uses
   * /transactions/sync, SYNC_UPDATES_AVAILABLE. The removal comes first, as observed at Plaid.
   */
  announce(item: Item, summary: Summary): void {
    const { added, modified, removed } = summary;
    if (added.length + modified.length + removed.length === 0) return;
    if (removed.length > 0) this.notify(item, transactionsRemoved(removed.map((txn: Txn) => txn.id)));
    if (added.length > 0) this.notify(item, defaultUpdate(added.length));
    this.#announceSync(item);
    for (const token of this.world.processors.of(item.itemId)) this.#announceTo(token, item, summary);
  }

  /** The same for a partner with a webhook URL, about its account only. */
  #announceTo(
    { webhook, clientId, accountId }: ProcessorToken,
    item: Item,
    { added, modified, removed }: Summary,
  ): void {
    const [mine, changed, gone] = [added, modified, removed].map((list) =>
      list.filter((txn) => txn.account.id === accountId),
    ) as [Txn[], Txn[], Txn[]];
    if (webhook === null || mine.length + changed.length + gone.length === 0) return;
    const notices = [
      ...(gone.length > 0 ? [transactionsRemoved(gone.map((txn) => txn.id))] : []),
      ...(mine.length > 0 ? [defaultUpdate(mine.length)] : []),
      ...(item.syncCalled ? [syncUpdatesAvailable(true, item.stage === "HISTORICAL")] : []),
    ];
    for (const notice of notices) {
      const fields = { ...notice.fields, account_id: accountId };
      this.notifyClient(clientId, { type: notice.type, code: notice.code, fields }, webhook);
    }
  }

  /** Plans the expiry of a new Item's login. */
  settle(item: Item): void {
    const days = this.options.loginExpiresAfterDays;
    if (days === null) return;
    this.time.schedule(this.time.now() + days * MS_PER_DAY, () => {
      if (!item.removed && !item.revoked && !item.error) breakItem(this, item, "ITEM_LOGIN_REQUIRED");
    });
  }

  /**
   * NONE → NOT_READY, and later INITIAL and HISTORICAL, each with its webhooks. This is the last moment at which a request can
   * choose the days of history.
   */
  startExtraction(item: Item, days?: number): void {
    if (days !== undefined) {
      const { plan } = item;
      replan(item, plan.username === "user_good" ? planFor(plan.username, days) : { ...plan, days });
    }
    item.stage = "NOT_READY";
    this.continueExtraction(item);
  }

  /** Lets the rest of the history arrive, of an extraction that has just begun or that a restart interrupted. */
  continueExtraction(item: Item): void {
    if (item.stage !== "NOT_READY" && item.stage !== "INITIAL") return;
    const { initialMs, historicalMs } = this.options.extraction;
    const now = this.time.now();
    if (item.stage === "NOT_READY") this.time.schedule(now + initialMs, () => this.#arrive(item, "INITIAL"));
    this.time.schedule(now + Math.max(initialMs, historicalMs), () => this.#arrive(item, "HISTORICAL"));
  }

  #arrive(item: Item, stage: "INITIAL" | "HISTORICAL"): void {
    if (item.removed || item.revoked) return;
    const book = bookOf(item);
    const fromDay = stage === "INITIAL" ? dayOf(item.createdAt) - INITIAL_DAYS : -Infinity;
    const arrived = release(book, fromDay);
    item.stage = stage;
    item.lastSuccess = this.time.now();
    this.notify(item, stage === "INITIAL" ? initialUpdate(arrived) : historicalUpdate(arrived));
    this.#announceSync(item);
  }

  #announceSync(item: Item): void {
    if (item.syncCalled) this.notify(item, syncUpdatesAvailable(true, item.stage === "HISTORICAL"));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.time.stop();
    await this.sender.close();
  }
}
