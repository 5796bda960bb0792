/**
 * Calendar days as whole numbers (days since 1970-01-01, UTC): a transaction carries two of them, and a million
 * transactions share a few hundred texts.
 */
const MS_PER_DAY = 86_400_000;
const texts = new Map<number, string>();

export const dayOf = (ms: number): number => Math.floor(ms / MS_PER_DAY);

/** "2026-03-07" → its day, or null when it is not a date. */
export function parseDay(text: string): number | null {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return Number.isNaN(ms) || dayText(dayOf(ms)) !== text ? null : dayOf(ms);
}

export function dayText(day: number): string {
  let text = texts.get(day);
  if (text === undefined) {
    text = new Date(day * MS_PER_DAY).toISOString().slice(0, 10);
    texts.set(day, text);
  }
  return text;
}

/** An instant as Plaid writes it, in whole seconds, UTC. */
export const momentText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
