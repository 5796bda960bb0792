/**
 * The Intake that keeps arrivals in Postgres. Webhooks share commits. A linked item has a transaction of its own, which
 * also stores its token. A stale notice is one row for sync. Unproven webhooks go to the quarantine.
 */
import { urgent } from "../database/pool.ts";
import type { Database, Queryable } from "../database/types.ts";
import { openHint, type Hint } from "../events/hint.ts";
import { noteNotice } from "../events/sync-outbox.ts";
import type { Vault } from "../integrations/vault.ts";
import type { Logger } from "../logger.ts";
import { metrics } from "../metrics.ts";
import type {
  Arrival,
  ArrivedWebhook,
  Intake,
  Linked,
  LinkedItem,
  Restoring,
  RestoreResult,
  StaleNotice,
  UnprovenWebhook,
} from "../model/intake.ts";
import type { Pressure } from "../model/pressure.ts";
import { EVERYTHING, type Accepted } from "../model/webhook.ts";
import { findAccepted } from "./append.ts";
import { GroupCommit } from "./group-commit.ts";
import { linkItem } from "./link.ts";
import type { QuarantineBounds } from "./quarantine-bounds.ts";
import { restore } from "./restore.ts";
import { settleRepeated, type Repeated } from "./settle-repeated.ts";
import { UnprovenCommit } from "./unproven-commit.ts";

/** How many JWTs of stale notices are remembered, so that a repeated one causes no second check. */
const STALE_KEPT = 1000;

export interface IntakeOptions {
  database: Database;
  /** seals the tokens of items */
  vault: Vault;
  /** webhooks that may wait for their commit; when more come, they are refused */
  queueMax: number;
  /** what the quarantine of one integration may hold; null or absent: unproven webhooks are not kept */
  quarantine?: QuarantineBounds | null;
  logger: Logger;
  /** learns of each batch of webhooks */
  pressure?: Pressure;
}

/** Opens the intake; disposing it waits until every waiting call is settled. */
export const openIntake = (options: IntakeOptions): Intake & Restoring & AsyncDisposable => new PostgresIntake(options);

class PostgresIntake implements Intake, Restoring, AsyncDisposable {
  readonly #options: IntakeOptions;
  readonly #database: Queryable;
  readonly #hint: Hint;
  readonly #webhooks: GroupCommit;
  readonly #unproven: UnprovenCommit;
  readonly #stale = new Set<string>();

  constructor(options: IntakeOptions) {
    this.#options = options;
    // On the reserved connections, so that other work on the pool does not delay arrivals.
    this.#database = urgent(options.database);
    this.#hint = openHint(this.#database);
    const settle = (repeated: readonly Repeated[]) => settleRepeated(options.database, this.#database, repeated);
    this.#webhooks = new GroupCommit({
      ...options,
      database: this.#database,
      hint: this.#hint,
      settleRepeated: settle,
    });
    this.#unproven = new UnprovenCommit(options.database, options.quarantine ?? null);
  }

  accept(arrival: ArrivedWebhook): Promise<Accepted>;
  accept(arrival: LinkedItem): Promise<Linked>;
  accept(arrival: StaleNotice): Promise<Accepted | null>;
  accept(arrival: UnprovenWebhook): Promise<Accepted>;
  accept(arrival: Arrival): Promise<Accepted | null> {
    if (arrival.arrival === "webhook") return this.#webhooks.accept(arrival);
    if (arrival.arrival === "unproven_webhook") return this.#unproven.accept(arrival);
    return arrival.arrival === "linked_item" ? this.#link(arrival) : this.#note(arrival);
  }

  problem(): string | null {
    return this.#webhooks.problem();
  }

  async restore(arrivals: readonly Arrival[]): Promise<RestoreResult[]> {
    const results = await restore(this.#options, arrivals);
    for (const [index, arrival] of arrivals.entries()) {
      if (results[index]?.outcome !== "stored" || arrival.arrival === "stale_notice") continue;
      metrics.webhooksAccepted.inc({ source: arrival.arrival === "webhook" ? arrival.source : "BACKEND" });
    }
    return results;
  }

  async #link(item: LinkedItem): Promise<Linked> {
    const linked = await linkItem(this.#options, item);
    metrics.webhooksAccepted.inc({ source: "BACKEND" });
    return linked;
  }

  async #note({ token, subject, ...about }: StaleNotice): Promise<Accepted | null> {
    const first = await findAccepted(this.#database, token);
    const repeats = first && { id: first.id, duplicate: true };
    if (first?.waits === false) return repeats;
    const name = token.tokenSha256.toString("latin1");
    if (subject === null || this.#stale.has(name)) return repeats;
    await noteNotice(this.#database, {
      integration_id: about.integrationId,
      ...subject,
      type: about.webhookType,
      code: about.webhookCode,
      requested: [EVERYTHING],
    });
    this.#hint.give();
    if (this.#stale.size >= STALE_KEPT) this.#stale.clear();
    this.#stale.add(name);
    return repeats;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#webhooks[Symbol.asyncDispose]();
    await this.#unproven[Symbol.asyncDispose]();
    await this.#hint[Symbol.asyncDispose]();
  }
}
