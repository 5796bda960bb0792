/** Instants as people write them: `24h` (24 hours ago), or a date. */
import { TartanError } from "../../errors.ts";

/** How the help describes the value of `--since`. */
export const TIME_HELP = "a duration back from now, such as 30m, 24h or 7d, or a date";

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * @param option the option that the error names
 * @throws TartanError `invalid_request` when `text` is neither
 */
export function readInstant(text: string, option: string, now = Date.now()): Date {
  const [, count, unit = ""] = /^(\d+)\s*([smhdw])$/.exec(text) ?? [];
  const at = count === undefined ? Date.parse(text) : now - Number(count) * (UNIT_MS[unit] ?? 0);
  if (Number.isFinite(at)) return new Date(at);
  throw new TartanError("invalid_request", `${option} does not accept ${text}.`, {
    fields: { [option]: "must be a duration such as 30m, 24h or 7d, or a date such as 2026-03-07T12:00:00Z" },
  });
}

/** `--since` and `--until` as the range that the relay's functions take. */
export function readRange({ since, until }: { since?: string; until?: string }): { from?: Date; to?: Date } {
  return {
    ...(since !== undefined && { from: readInstant(since, "--since") }),
    ...(until !== undefined && { to: readInstant(until, "--until") }),
  };
}
