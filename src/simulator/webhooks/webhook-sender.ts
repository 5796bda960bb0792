/**
 * Sends webhooks to their URLs as Plaid does: a POST with ten seconds to answer. After any answer except 200 it tries again
 * after 30 seconds, then after four times as long each time, for at most 24 hours: attempts at 0, 30 s, 2.5 min,
 * 10.5 min, 42.5 min, 2 h 50 min and 11 h 22 min. A URL that refused more than 90 % of its webhooks in the last
 * 24 hours gets no retries. Retries wait on the simulator's clock.
 *
 * A webhook: pending → (attempt) → delivered | pending, with a next attempt | failed. At most `concurrency` attempts are
 * in flight; the rest queue in order.
 */
import { createHash } from "node:crypto";
import { Agent, request } from "undici";
import { systemClock } from "../../clock.ts";
import type { Faults } from "../faults.ts";
import type { Random } from "../random.ts";
import type { SimulatedTime } from "../time.ts";
import type { WebhookKey, WebhookKeys } from "./keys.ts";
import { SentLog, type Attempt, type SentWebhook } from "./log.ts";
import { Rejections } from "./rejections.ts";
import { signWebhook, type Tampering } from "./sign.ts";

const FIRST_RETRY_MS = 30_000;
const RETRY_FACTOR = 4;
const GIVE_UP_AFTER_MS = 24 * 3_600_000;

export interface WebhookSenderOptions {
  /** attempts in flight at once */
  concurrency: number;
  /** how long an attempt may take, in real time */
  timeoutMs: number;
  retry: boolean;
  /** each attempt carries a new signature; false: all attempts carry the first one */
  resign: boolean;
  /** the clock of `iat`: "base" is also the receiver's, "simulated" is the advanced one */
  iatClock: "base" | "simulated";
  /** how many webhooks the log keeps */
  keep: number;
}

export interface SignOverrides {
  iat_offset_s?: number | undefined;
  kid?: string | undefined;
  key?: WebhookKey | undefined;
  tamper?: Tampering | undefined;
  /** sent instead of a token of our own making; null: no Plaid-Verification header at all */
  jwt?: string | null | undefined;
}

export interface OutgoingWebhook {
  itemId: string | null;
  clientId: string | null;
  url: string;
  type: string | null;
  code: string | null;
  body: string;
  sign?: SignOverrides;
  retry?: boolean;
  /** not what Plaid would send */
  forged?: boolean;
}

interface Job {
  out: OutgoingWebhook;
  record: SentWebhook;
  firstAt: number;
  signed: { body: string; jwt: string | null; kid: string; iat: number } | null;
}

interface Deps {
  time: SimulatedTime;
  keys: WebhookKeys;
  faults: Faults;
  random: Random;
  options: WebhookSenderOptions;
  /** aborts when the simulator stops */
  closing: AbortSignal;
  onAttempt?: ((webhook: SentWebhook) => void) | undefined;
}

export class WebhookSender {
  readonly log: SentLog;
  #deps: Deps;
  #agent: Agent;
  #rejections = new Rejections();
  #underWay = 0;
  #waiting: (() => void)[] = [];

  constructor(deps: Deps) {
    this.#deps = deps;
    this.log = new SentLog(deps.options.keep);
    this.#agent = new Agent({ connections: deps.options.concurrency, pipelining: 1 });
  }

  /** Queues a webhook; the returned record shows its state. */
  send(out: OutgoingWebhook): SentWebhook {
    const { time, faults, random } = this.#deps;
    const record = newRecord(out, `sent_${random.id(20)}`, time.now());
    this.log.add(record, out.forged ? null : out.clientId);
    const target = { itemId: out.itemId, clientId: out.clientId, webhookCode: out.code ?? undefined };
    if (faults.strike("drop_webhooks", target)) {
      record.status = "dropped";
      return record;
    }
    const job: Job = { out, record, firstAt: time.now(), signed: null };
    const reorder = faults.strike("reorder_webhooks", target);
    if (reorder) void time.track(this.#later(random.below(reorder.within_ms), job));
    else void time.track(this.#attempt(job, 0));
    const duplicate = faults.strike("duplicate_webhooks", target);
    for (let copy = 0; copy < (duplicate?.copies ?? 0); copy += 1) {
      void time.track(this.#duplicate(job, duplicate?.resign ?? false));
    }
    return record;
  }

  /** The token and body that `send` would use now. */
  sign(body: string, overrides: SignOverrides = {}): { body: string; jwt: string | null; kid: string; iat: number } {
    const { time, keys, options } = this.#deps;
    const clock = options.iatClock === "base" ? time.base : time;
    const iat = Math.floor(clock.now() / 1000) + (overrides.iat_offset_s ?? 0);
    const key = overrides.key ?? keys.current;
    const kid = overrides.kid ?? key.kid;
    if (overrides.jwt !== undefined) return { body, jwt: overrides.jwt, kid, iat };
    return { ...signWebhook(body, { key, iat, kid, tamper: overrides.tamper }), kid, iat };
  }

  /** Ends queued and running attempts; `closing` has aborted before. */
  async close(): Promise<void> {
    for (const go of this.#waiting.splice(0)) go();
    await this.#agent.destroy();
  }

  async #later(ms: number, job: Job): Promise<void> {
    await systemClock.sleep(ms, this.#deps.closing);
    await this.#attempt(job, 0);
  }

  async #attempt(job: Job, number: number): Promise<void> {
    const startedAt = this.#deps.time.now();
    const attempt = await this.#post(job, false, number === 0 || this.#deps.options.resign);
    if (!attempt) return;
    if (attempt.http_status === 200) {
      job.record.status = "delivered";
      job.record.next_attempt_at = null;
    } else this.#planRetry(job, number, startedAt);
    this.#deps.onAttempt?.(job.record);
  }

  #planRetry(job: Job, number: number, startedAt: number): void {
    const { time, options } = this.#deps;
    const next = startedAt + FIRST_RETRY_MS * RETRY_FACTOR ** number;
    const requested = options.retry && job.out.retry !== false;
    const allowed = requested && next - job.firstAt <= GIVE_UP_AFTER_MS && !this.#rejections.tooMany(job.out.url);
    job.record.status = allowed ? "pending" : "failed";
    job.record.next_attempt_at = allowed ? new Date(next).toISOString() : null;
    if (allowed) time.schedule(next, () => void time.track(this.#attempt(job, number + 1)));
  }

  async #duplicate(job: Job, resign: boolean): Promise<void> {
    await this.#post(job, true, resign);
    this.#deps.onAttempt?.(job.record);
  }

  async #post(job: Job, duplicate: boolean, resign: boolean): Promise<Attempt | null> {
    await this.#slot();
    try {
      if (this.#deps.closing.aborted) return null;
      if (resign || !job.signed) job.signed = this.sign(job.out.body, job.out.sign);
      const { time, options } = this.#deps;
      const { body, jwt, kid, iat } = job.signed;
      const at = time.now();
      const began = performance.now();
      const { status, error } = await post(this.#agent, job.out.url, body, jwt, options.timeoutMs);
      const duration_ms = Math.round(performance.now() - began);
      const jwt_sha256 = jwt === null ? null : createHash("sha256").update(jwt).digest("hex");
      const sent = { at: new Date(at).toISOString(), kid, iat, jwt_sha256 };
      const attempt = { ...sent, http_status: status, error, duration_ms, duplicate };
      job.record.attempts.push(attempt);
      this.#rejections.count(job.out.url, at, status !== 200);
      return attempt;
    } finally {
      this.#free();
    }
  }

  async #slot(): Promise<void> {
    if (this.#underWay < this.#deps.options.concurrency) this.#underWay += 1;
    else await new Promise<void>((go) => this.#waiting.push(go));
  }

  /** Passes the place to the next attempt in the queue, so that none can overtake it. */
  #free(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#underWay -= 1;
  }
}

const newRecord = (out: OutgoingWebhook, id: string, now: number): SentWebhook => ({
  webhook_id: id,
  item_id: out.itemId,
  url: out.url,
  webhook_type: out.type,
  webhook_code: out.code,
  created_at: new Date(now).toISOString(),
  status: "pending",
  next_attempt_at: null,
  attempts: [],
  body: out.body,
});

async function post(
  agent: Agent,
  url: string,
  body: string,
  jwt: string | null,
  timeoutMs: number,
): Promise<{ status: number | null; error: string | null }> {
  const headers = { "content-type": "application/json", ...(jwt === null ? {} : { "plaid-verification": jwt }) };
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await request(url, { method: "POST", headers, body, dispatcher: agent, signal });
    await answer.body.dump();
    return { status: answer.statusCode, error: null };
  } catch (error) {
    const { code, name } = error as { code?: unknown; name?: unknown };
    return { status: null, error: name === "TimeoutError" ? "timeout" : String(code ?? name ?? "failed") };
  }
}
