/** Whose fault a failed write is: the row's, which must not fail the rows beside it, or the server's. */

/** The SQLSTATE of what Postgres answered, or "". */
export function sqlState(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : "";
}

/** Of the row, not of the server: data exceptions, integrity violations, and values beyond a limit. */
export const isDataFault = (error: unknown): boolean =>
  /^(22|23|54)/.test(sqlState(error)) || error instanceof RangeError;
