/** Distinguishes failed writes caused by a row, which must not fail other rows, from those caused by the server. */
import { sqlStateOf } from "../database/failures.ts";

/** Errors of the row and not of the server: data exceptions, integrity violations, and values beyond a limit. */
export const isDataFault = (error: unknown): boolean =>
  /^(22|23|54)/.test(sqlStateOf(error) ?? "") || error instanceof RangeError;
