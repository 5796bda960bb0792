/**
 * Looks at each integration every minute, whether Plaid's webhooks still come:
 *
 *   coming ─ none for far longer than usual, or three that Plaid says it sent did not arrive ──▶ stopped: integration.webhooks_stopped
 *     ▲  └── the same, while Plaid does not answer ──▶ coming, with the cause plaid_down
 *     └──────────── a webhook of Plaid arrives: integration.webhooks_resumed ◀───────────────── stopped
 *
 * There is no alarm for an integration without items of which Plaid sends webhooks, or to which no webhook has ever come. Time in which no
 * process looked does not count as silence, and what Plaid sent in it does not count as missed.
 */
import type { Clock } from "../clock.ts";
import type { Database, Queryable } from "../database/types.ts";
import { recordEvents } from "../events/events.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type { Directory, KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { parseBody } from "../plaid/webhooks.ts";
import { causeOf, CAUSES, type Reason } from "./causes.ts";
import { isFarLonger, latestHours, usualPause } from "./rhythm.ts";
import { listStopped } from "./stopped.ts";
import { resumedEvent, stoppedEvent } from "./watch-events.ts";
import {
  CLAIM_WATCH,
  COUNT_WATCHES,
  END_LOOK,
  GAPS_SINCE,
  HAS_SPEAKING,
  MISSED_OF_LIST,
  NEW_HOURS,
  PLAN_WATCHES,
  SET_ALARM,
} from "./watch-queries.ts";

export interface WatchesOptions {
  database: Database;
  directory: Directory;
  clientFor: (integration: KnownIntegration) => PlaidClient;
  clock: Clock;
  logger: Logger;
}

const LEASE_SECONDS = 120;
const EVERY_SECONDS = 60;
/** One more minute between two looks for each so many integrations, so that their cost does not grow. */
const PER_MINUTE = 1000;
/** So many webhooks that Plaid sent and that did not arrive are an alarm by themselves. */
const MISSED_LEAST = 3;
const STOPPED_NAMED = 1000;

interface Watch {
  integration_id: string;
  lease: string;
  read_to: Date | null;
  last_webhook: string | null;
  last_webhook_at: Date | null;
  active_hours: number[];
  watched_since: Date;
  stopped_at: Date | null;
  silent_since: Date | null;
  cause: string | null;
  now: Date;
}

export class Watches {
  readonly #options: WatchesOptions;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  /** Looks at the integration that has been due longest. @returns whether another may be due */
  async work(signal: AbortSignal): Promise<boolean> {
    const { database } = this.#options;
    await database.query(PLAN_WATCHES);
    const { rows } = await database.query<{ count: number }>(COUNT_WATCHES);
    const everySeconds = EVERY_SECONDS * Math.max(1, Math.ceil((rows[0]?.count ?? 0) / PER_MINUTE));
    const claimed = await database.query<Watch>(CLAIM_WATCH, [LEASE_SECONDS, Math.max(600, everySeconds * 3)]);
    const [claim] = claimed.rows;
    if (claim === undefined) {
      await this.#measure();
      return false;
    }
    await this.#look(claim, everySeconds, signal);
    return true;
  }

  async #measure(): Promise<void> {
    const stopped = await listStopped(this.#options.database, STOPPED_NAMED);
    for (const cause of CAUSES)
      metrics.webhooksStopped.set({ cause }, stopped.filter((each) => each.cause === cause).length);
  }

  async #look(claim: Watch, everySeconds: number, signal: AbortSignal): Promise<void> {
    const { database } = this.#options;
    const watch = await readJournal(database, claim);
    const isNew = watch.last_webhook !== claim.last_webhook;
    if (watch.stopped_at !== null && isNew) await this.#resume(watch);
    else if (watch.last_webhook_at !== null) await this.#judge(watch, watch.last_webhook_at, signal);
    const { integration_id, lease, now, last_webhook, last_webhook_at, active_hours } = watch;
    await database.query(END_LOOK, [
      integration_id,
      lease,
      now,
      last_webhook,
      last_webhook_at,
      active_hours,
      everySeconds,
    ]);
  }

  async #judge(watch: Watch, last: Date, signal: AbortSignal): Promise<void> {
    const { database, directory, clientFor, logger } = this.#options;
    const { integration_id, lease } = watch;
    const pause = usualPause(watch.active_hours);
    const silentSince = last > watch.watched_since ? last : watch.watched_since;
    const silenceS = (watch.now.getTime() - silentSince.getTime()) / 1000;
    const missed = await countMissed(database, integration_id, silentSince);
    const isSilent = missed >= MISSED_LEAST || isFarLonger(silenceS, watch.active_hours);
    if (!isSilent && watch.stopped_at === null) return await clear(database, watch);
    const integration = await directory.find(integration_id);
    const has = (await database.query<{ has: boolean }>(HAS_SPEAKING, [integration_id])).rows[0]?.has === true;
    if (integration === null || !has) return await clear(database, watch);
    const reason = await causeOf({ q: database, integration, client: clientFor(integration), since: last, signal });
    // Plaid's webhooks and its API are down together: nobody here has to act, unless the alarm was raised before.
    const isAlarm = watch.stopped_at !== null || reason.cause !== "plaid_down";
    const details = { ...reason, missed, usual_pause_s: pause };
    const stoppedAt = isAlarm ? (watch.stopped_at ?? watch.now) : null;
    await database.transaction(async (tx) => {
      const values = [integration_id, lease, stoppedAt, isAlarm ? last : null, reason.cause, JSON.stringify(details)];
      if ((await tx.query(SET_ALARM, values)).rowCount === 0) return;
      if (!isAlarm || watch.stopped_at !== null) return;
      await recordEvents(tx, [stoppedEvent(integration_id, { silentSince: last, ...details })]);
    });
    if (isAlarm && watch.stopped_at === null) report(logger, integration_id, last, reason);
  }

  async #resume({
    integration_id,
    lease,
    stopped_at,
    silent_since,
    last_webhook,
    last_webhook_at,
  }: Watch): Promise<void> {
    const { database, logger } = this.#options;
    await database.transaction(async (tx) => {
      if ((await tx.query(SET_ALARM, [integration_id, lease, null, null, null, null])).rowCount === 0) return;
      const at = {
        stoppedAt: stopped_at,
        silentSince: silent_since,
        webhook: last_webhook,
        resumedAt: last_webhook_at,
      };
      await recordEvents(tx, [resumedEvent(integration_id, at)]);
    });
    logger.info({ integration_id }, "Plaid's webhooks come again");
  }
}

const report = (logger: Logger, integration_id: string, since: Date, { cause, message, next_step }: Reason): void =>
  logger.error(
    { integration_id, silent_since: since.toISOString(), cause, next_step },
    `Plaid's webhooks have stopped: ${message}`,
  );

/** Ends an alarm without an event: the integration has no items any more; and forgets that Plaid did not answer. */
async function clear(q: Queryable, { integration_id, lease, stopped_at, cause }: Watch): Promise<void> {
  if (stopped_at === null && cause === null) return;
  await q.query(SET_ALARM, [integration_id, lease, null, null, null, null]);
}

/** The watch with what the journal has got since the last look. */
async function readJournal(q: Queryable, claim: Watch): Promise<Watch> {
  const from = claim.read_to ?? new Date(0);
  type Row = { hour: number; id: string; received_at: Date };
  const { rows } = await q.query<Row>(NEW_HOURS, [claim.integration_id, from]);
  const last = rows.at(-1);
  const isNewer = last !== undefined && last.received_at.getTime() > (claim.last_webhook_at?.getTime() ?? 0);
  return {
    ...claim,
    active_hours: latestHours([...claim.active_hours, ...rows.map(({ hour }) => hour)]),
    ...(isNewer && { last_webhook: last.id, last_webhook_at: last.received_at }),
  };
}

/** Webhooks that Plaid says it sent since then and that did not come: by its list, and by /item/get. */
async function countMissed(q: Queryable, integrationId: string, since: Date): Promise<number> {
  const listed = await q.query<{ count: number }>(MISSED_OF_LIST, [integrationId, since, MISSED_LEAST]);
  const count = listed.rows[0]?.count ?? 0;
  if (count >= MISSED_LEAST) return count;
  const gaps = await q.query<{ body: Buffer }>(GAPS_SINCE, [integrationId, since, 100]);
  const missed = gaps.rows.filter(({ body }) => {
    const { gap } = (parseBody(body) ?? {}) as { gap?: { missed_webhook?: { sent_at?: string } | null } };
    return Date.parse(gap?.missed_webhook?.sent_at ?? "") > since.getTime();
  });
  return Math.max(count, missed.length);
}
