/**
 * Whether an integration's webhooks have stopped, by its own rhythm. Pure.
 *
 * The rhythm is the longest pause between two hours with a webhook of Plaid in the last two weeks. Webhooks have stopped when none has come
 * for three such pauses, and for six hours at least. An integration with fewer than three such hours has no rhythm yet.
 */
const HOUR_S = 3600;
const TWO_WEEKS_HOURS = 14 * 24;
const LEAST_HOURS = 3;
const LEAST_SILENCE_S = 6 * HOUR_S;
const PAUSES = 3;

/** The hours of the last two weeks, each once and in their order. */
export const hoursUntil = (nowMs: number, hours: readonly number[]): number[] => {
  const first = Math.floor(nowMs / 1000 / HOUR_S) - TWO_WEEKS_HOURS;
  return [...new Set(hours)].filter((hour) => hour >= first).toSorted((a, b) => a - b);
};

/** The longest pause in seconds; null where there is no rhythm. */
export function usualPause(hours: readonly number[]): number | null {
  if (hours.length < LEAST_HOURS) return null;
  const pauses = hours.slice(1).map((hour, index) => hour - (hours[index] ?? hour));
  return Math.max(...pauses) * HOUR_S;
}

/** Whether a silence of so many seconds is far longer than the integration's usual pause. */
export const isFarLonger = (silenceS: number, usualPauseS: number | null): boolean =>
  usualPauseS !== null && silenceS > Math.max(LEAST_SILENCE_S, PAUSES * usualPauseS);
