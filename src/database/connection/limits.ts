/**
 * How long Postgres may take, by the kind of work. The server enforces the limits of statements and locks; a little later
 * the client drops a connection that has not answered at all (exchange.ts).
 */

export interface Limits {
  /** one statement, its waits included */
  statementMs: number;
  /** one wait for a lock; Postgres counts it within the statement too */
  lockMs: number;
  /** a transaction from BEGIN to the answer to COMMIT */
  transactionMs: number;
}

export type Work = keyof typeof LIMITS;

export const LIMITS = {
  /** senders or leases wait for it: accepting, heartbeats, probes. Plaid closes the connection after 10 s. */
  urgent: { statementMs: 6_000, lockMs: 4_000, transactionMs: 8_000 },
  normal: { statementMs: 30_000, lockMs: 20_000, transactionMs: 120_000 },
  /** sync commits, retention, erasure */
  long: { statementMs: 600_000, lockMs: 60_000, transactionMs: 1_800_000 },
  /** An index on a large table may take hours. The wait for a table is short: every other query waits behind it. */
  migration: { statementMs: 7_200_000, lockMs: 5_000, transactionMs: 14_400_000 },
} as const satisfies Record<string, Limits>;

/** The server's limit acts first, by this much: a cancelled statement costs no connection. */
export const GRACE_MS = 2_000;

/** For a connection to be made, and for one of the pool to be free. */
export const CONNECT_MS = 5_000;
export const POOL_WAIT_MS = 10_000;

/** The server ends a transaction whose client has sent nothing for this long, and releases its locks. */
const IDLE_IN_TRANSACTION_MS = 120_000;

/**
 * One statement that sets the settings which results and promises depend on. It overrides the defaults of the server, the
 * database and the role, and returns the server process in the column `pid`.
 * @param local whether the settings end with the transaction: behind a pooler other clients use the session too
 */
export function settingsOf({ statementMs, lockMs }: Limits, local: boolean): string {
  const settings: Record<string, string> = {
    datestyle: "'ISO, MDY'",
    timezone: "'UTC'",
    intervalstyle: "'postgres'",
    statement_timeout: `'${statementMs}'`,
    lock_timeout: `'${lockMs}'`,
    idle_in_transaction_session_timeout: `'${IDLE_IN_TRANSACTION_MS}'`,
    // Compiling Tartan's wide statements takes longer than running them: up to seconds, where Postgres has it on, which is its default.
    jit: "'off'",
    // Every other value waits for the local disk at least, and stays.
    synchronous_commit: "coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on')",
    ...(local ? {} : SESSION_SETTINGS),
  };
  const calls = Object.entries(settings).map(([name, value]) => `set_config('${name}', ${value}, ${local})`);
  return `select pg_backend_pid() as pid, ${calls.join(", ")}`;
}

const onLinux = (name: string, value: string): string =>
  `case when version() ~* 'linux' then '${value}' else current_setting('${name}') end`;

/** With these the server notices within half a minute that a client is gone, and releases its locks. */
const SESSION_SETTINGS: Record<string, string> = {
  default_transaction_isolation: "'read committed'",
  tcp_keepalives_idle: "'10'",
  tcp_keepalives_interval: "'5'",
  tcp_keepalives_count: "'3'",
  tcp_user_timeout: onLinux("tcp_user_timeout", "25000"),
  client_connection_check_interval: onLinux("client_connection_check_interval", "5000"),
};
