/**
 * Plaid's 90 % rule: a URL that refused more than 90 % of its webhooks in the last 24 hours gets no retries. Plaid
 * does not say how many webhooks the rule needs; here it is ten, so that a first failure alone does not end all retries.
 */
const HOUR_MS = 3_600_000;
const HOURS = 24;
const SHARE = 0.9;
const FROM = 10;

interface Hour {
  hour: number;
  sent: number;
  rejected: number;
}

export class Rejections {
  #hours = new Map<string, Hour[]>();

  count(url: string, now: number, rejected: boolean): void {
    const hour = Math.floor(now / HOUR_MS);
    const hours = (this.#hours.get(url) ?? []).filter((one) => one.hour > hour - HOURS);
    let current = hours.at(-1);
    if (current?.hour !== hour) {
      current = { hour, sent: 0, rejected: 0 };
      hours.push(current);
    }
    current.sent += 1;
    if (rejected) current.rejected += 1;
    this.#hours.set(url, hours);
  }

  /** As of the last count for this URL. */
  tooMany(url: string): boolean {
    let sent = 0;
    let rejected = 0;
    for (const hour of this.#hours.get(url) ?? []) {
      sent += hour.sent;
      rejected += hour.rejected;
    }
    return sent >= FROM && rejected > sent * SHARE;
  }
}
