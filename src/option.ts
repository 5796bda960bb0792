/** How an option is declared. */
import { z } from "zod";

export interface Option<T extends z.ZodType = z.ZodType> {
  env: string;
  type: T;
  /** what the option is, in one sentence, with its unit */
  about: string;
  /** shown instead of the parsed default where that would mislead */
  defaultText?: string;
  /** its value is never shown */
  secret?: true;
}

export const option = <T extends z.ZodType>(
  env: string,
  type: T,
  about: string,
  more: Partial<Omit<Option, "type">> = {},
): Option<T> => ({
  env,
  type,
  about,
  ...more,
});

/** A whole number, as the environment has it. */
export const whole = (from: number, to: number) => {
  const error = `must be a whole number from ${from} to ${to}`;
  return z.coerce.number({ error }).int(error).min(from, error).max(to, error);
};
