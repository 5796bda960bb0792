/** Whose fault a failed write is: the row's, which must not fail the rows beside it, or the server's. */
import { sqlStateOf } from "../database/failures.ts";

/** Of the row, not of the server: data exceptions, integrity violations, and values beyond a limit. */
export const isDataFault = (error: unknown): boolean =>
  /^(22|23|54)/.test(sqlStateOf(error) ?? "") || error instanceof RangeError;
