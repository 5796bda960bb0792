/**
 * Whether an integration's webhooks have stopped, by its own rhythm. Pure.
 *
 * The rhythm is the longest pause between two hours with a webhook of Plaid in the two weeks before the last one. Webhooks have stopped
 * when none has come for three such pauses, and for six hours at least. There is no rhythm before three such hours that span a day: the
 * first night of an integration is no alarm. In the first week it takes five pauses, since no weekend was seen: one is shorter than five
 * nights.
 */
const HOUR_S = 3600;
const TWO_WEEKS_HOURS = 14 * 24;
const DAY_HOURS = 24;
const WEEK_HOURS = 7 * DAY_HOURS;
const LEAST_HOURS = 3;
const LEAST_SILENCE_S = 6 * HOUR_S;
const PAUSES = 3;
const PAUSES_IN_FIRST_WEEK = 5;

/** The hours of the two weeks before the last one, each once and in their order: a silence does not make the rhythm be forgotten. */
export function latestHours(hours: readonly number[]): number[] {
  const first = Math.max(...hours) - TWO_WEEKS_HOURS;
  return [...new Set(hours)].filter((hour) => hour >= first).toSorted((a, b) => a - b);
}

/** The longest pause in seconds; null where there is no rhythm. */
export function usualPause(hours: readonly number[]): number | null {
  if (hours.length < LEAST_HOURS || spanOf(hours) < DAY_HOURS) return null;
  const pauses = hours.slice(1).map((hour, index) => hour - (hours[index] ?? hour));
  return Math.max(...pauses) * HOUR_S;
}

/** Hours between the first and the last. */
const spanOf = (hours: readonly number[]): number => (hours.at(-1) ?? 0) - (hours[0] ?? 0);

/** Whether a silence of so many seconds is far longer than the usual pause between these hours. */
export function isFarLonger(silenceS: number, hours: readonly number[]): boolean {
  const pauseS = usualPause(hours);
  const pauses = spanOf(hours) < WEEK_HOURS ? PAUSES_IN_FIRST_WEEK : PAUSES;
  return pauseS !== null && silenceS > Math.max(LEAST_SILENCE_S, pauses * pauseS);
}
