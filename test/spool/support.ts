/** A spool over Postgres, or over an engine that a test can take away, in a folder that is deleted afterwards. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import { TartanError } from "../../src/errors.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Arrival, ArrivedWebhook, Intake, Restoring, RestoreResult } from "../../src/model/intake.ts";
import type { Refusal } from "../../src/model/refusal.ts";
import type { Accepted } from "../../src/model/webhook.ts";
import type { SpoolOptions } from "../../src/spool/options.ts";
import { openSpool } from "../../src/spool/spool.ts";
import { webhook } from "../support/webhook.ts";

export interface Root extends AsyncDisposable {
  path: string;
  /** the files of all processes' folders, without their locks */
  files(folder?: RegExp): Promise<string[]>;
}

export async function spoolRoot(): Promise<Root> {
  const folder = await mkdtemp(join(tmpdir(), "tartan-spool-"));
  const path = join(folder, "spool");
  return {
    path,
    files: async (which = /^p-/) => {
      const folders = (await readdir(path).catch(() => [])).filter((name) => which.test(name));
      const names = await Promise.all(
        folders.map(async (name) => (await readdir(join(path, name))).map((file) => join(path, name, file))),
      );
      return names.flat().filter((name) => name.endsWith(".segment"));
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** An engine in memory that holds what it is given, in order, each id and JWT once; a test takes it away and brings it back. */
export class MemoryIntake implements Intake, Restoring {
  readonly stored: Arrival[] = [];
  readonly #ids = new Set<string>();
  readonly #tokens = new Map<string, string>();
  /** how many arrivals each restored batch had */
  readonly batches: number[] = [];
  mode: "there" | "away" | "frozen" = "there";
  refuse: (arrival: Arrival) => unknown = () => null;
  #thaw: (() => void)[] = [];

  accept(arrival: Arrival): Promise<never> {
    return this.#accept(arrival) as Promise<never>;
  }

  async #accept(arrival: Arrival): Promise<Accepted> {
    await this.#reach();
    return this.#store(arrival);
  }

  async restore(arrivals: readonly Arrival[]): Promise<RestoreResult[]> {
    await this.#reach();
    this.batches.push(arrivals.length);
    return arrivals.map((arrival) => {
      const error = this.refuse(arrival);
      if (error !== null) return { outcome: "refused", error };
      const before = this.stored.length;
      const { id } = this.#store(arrival);
      return { outcome: this.stored.length > before ? "stored" : "passed_over", id };
    });
  }

  /** What is frozen is stored afterwards. */
  thaw(): void {
    this.mode = "there";
    for (const resolve of this.#thaw.splice(0)) resolve();
  }

  problem(): string | null {
    return this.mode === "there" ? null : this.mode;
  }

  async #reach(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.mode === "frozen") await new Promise<void>((resolve) => this.#thaw.push(resolve));
    if (this.mode === "away") throw new TartanError("database_unavailable", "away", { retryAfterSeconds: 5 });
  }

  #store(arrival: Arrival): Accepted {
    const id = ("id" in arrival ? arrival.id : undefined) ?? randomBytes(8).toString("hex");
    const token = arrival.arrival === "webhook" ? arrival.proof?.tokenSha256.toString("hex") : undefined;
    const first = (token === undefined ? undefined : this.#tokens.get(token)) ?? (this.#ids.has(id) ? id : undefined);
    if (first !== undefined) return { id: first, duplicate: first !== id };
    this.#ids.add(id);
    if (token !== undefined) this.#tokens.set(token, id);
    this.stored.push(arrival);
    return { id, duplicate: false };
  }

  get ids(): (string | undefined)[] {
    return this.stored.map((arrival) => ("id" in arrival ? arrival.id : undefined));
  }
}

export const VAULT_KEYS = [randomBytes(32).toString("base64")];

export interface Opened {
  spool: Awaited<ReturnType<typeof openSpool>>;
  refusals: Refusal[];
}

export async function open(
  root: Root,
  inner: Intake & Restoring,
  more: Partial<SpoolOptions> = {},
): Promise<Opened & AsyncDisposable> {
  const refusals: Refusal[] = [];
  const spool = await openSpool({
    inner,
    root: root.path,
    maxBytes: 64 * 1024 * 1024,
    vault: openVault(VAULT_KEYS),
    refusals: { record: (refusal) => void refusals.push(refusal) },
    clock: systemClock,
    logger: silentLogger,
    deadlineMs: 300,
    ...more,
  });
  return { spool, refusals, [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose]() };
}

export const arrived = (fields: Partial<ArrivedWebhook> = {}): ArrivedWebhook => ({
  arrival: "webhook",
  ...webhook(fields),
});
