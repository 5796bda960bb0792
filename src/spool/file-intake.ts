/**
 * Takes arrivals into the file, each JWT once: a repeat of one that is there is answered with the id of the first, as soon as that is on
 * the disk. A stale notice that repeats a webhook in the file names it; the same notice again is stored once.
 */
import type { Clock } from "../clock.ts";
import { TartanError } from "../errors.ts";
import { metrics } from "../metrics.ts";
import type { LinkedItem } from "../model/intake.ts";
import { answerTo, factsFor, type Entry } from "./entry.ts";
import { KnownTokens } from "./known-tokens.ts";
import { encode, type Facts, type SpoolVault } from "./record.ts";
import type { Writer } from "./writer.ts";

interface FileIntakeOptions {
  vault: SpoolVault;
  clock: Clock;
  check?: (item: LinkedItem) => void;
  /** see SpoolOptions */
  keepsUnproven?: boolean;
}

/** Unproven webhooks of strangers, which may all be forged, until the file is empty. */
const UNVOUCHED_MAX = 10_000;

export class FileIntake {
  readonly #writer: Writer;
  readonly #options: FileIntakeOptions;
  readonly #known = new KnownTokens();
  #unvouched = 0;
  /** what is being written, with those that came with the same JWT meanwhile */
  readonly #writing = new Map<string, Entry[]>();

  constructor(writer: Writer, options: FileIntakeOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  /** Notes what is in a file. */
  remember(facts: Facts): void {
    const key = keyOf(facts);
    if (key !== null) this.#known.add(key, facts.id);
  }

  /** The database knows all that was in the file. */
  forget(): void {
    this.#known.clear();
    this.#unvouched = 0;
  }

  /** Settles the entry once it is on the disk, or is not. Never throws. */
  accept(entry: Entry): void {
    const isUnproven = entry.arrival.arrival === "unproven_webhook";
    if (isUnproven && this.#options.keepsUnproven === false) return entry.reject(notKept());
    const facts = factsFor(entry.arrival, this.#options.clock.now());
    if (this.#isRepeated(entry, facts)) return;
    if (entry.arrival.arrival === "unproven_webhook" && !entry.arrival.vouched && ++this.#unvouched > UNVOUCHED_MAX)
      return entry.reject(quarantineFull());
    let record: Buffer;
    try {
      if (entry.arrival.arrival === "linked_item") this.#options.check?.(entry.arrival);
      record = encode(entry.arrival, facts, this.#options.vault);
    } catch (error) {
      return entry.reject(error);
    }
    const key = keyOf(facts);
    if (key !== null) this.#writing.set(key, []);
    const others = (): Entry[] => {
      const same = key === null ? [] : (this.#writing.get(key) ?? []);
      if (key !== null) this.#writing.delete(key);
      return same;
    };
    this.#writer.put({
      facts,
      record,
      resolve: () => {
        metrics.spoolSpooled.inc();
        this.remember(facts);
        entry.resolve(answerTo(entry.arrival, facts.id));
        for (const other of others()) other.resolve(repeatOf(other, facts));
      },
      reject: (error) => {
        entry.reject(error);
        for (const other of others()) other.reject(error);
      },
    });
  }

  /** Answers, now or later, an entry whose JWT is in the file or is being written. @returns false where it must be written itself */
  #isRepeated(entry: Entry, facts: Facts): boolean {
    const { token } = facts;
    if (token === null) return false;
    const keys = [token];
    if (facts.isNotice) keys.push(noticeOf(token));
    // A proven one that is here has proven this one too.
    if (entry.arrival.arrival === "unproven_webhook") keys.push(entry.arrival.tokenSha256.toString("latin1"));
    for (const key of keys) {
      const first = this.#known.get(key);
      if (first !== undefined) {
        entry.resolve(facts.isNotice && key !== token ? null : { id: first, duplicate: true });
        return true;
      }
      const same = this.#writing.get(key);
      if (same) {
        same.push(entry);
        return true;
      }
    }
    return false;
  }
}

const notKept = (): TartanError => new TartanError("not_enabled", "Unproven webhooks are not kept.");

const quarantineFull = (): TartanError =>
  new TartanError("quarantine_full", "Too many unproven webhooks wait for their keys.", { retryAfterSeconds: 30 });

/** A notice has no webhook of its own, so the webhook of the same JWT is no repeat of it. */
const noticeOf = (token: string): string => `notice ${token}`;

const keyOf = ({ token, isNotice }: Facts): string | null => (token !== null && isNotice ? noticeOf(token) : token);

const repeatOf = ({ arrival }: Entry, first: Facts) =>
  first.isNotice && arrival.arrival === "stale_notice" ? null : { id: first.id, duplicate: true };
