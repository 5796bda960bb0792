/**
 * What Tartan checks before it works on a server: whether the server is new enough, whether a pooler stands before it,
 * whether it keeps what it has committed, and whether it has room for the connections of this process.
 */
import { Client, type ClientConfig } from "pg";
import { TartanError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { drop, endClient, within } from "./exchange.ts";
import { CONNECT_MS } from "./limits.ts";

export interface Facts {
  /** sessions are shared with others, between transactions */
  pooled: boolean;
  /** settings that may lose acknowledged data or let other logins in; empty on a server that is set up well */
  warnings: string[];
  /** connections that the server grants to all its clients together */
  maxConnections: number;
}

interface Row {
  pid: number;
  version: string;
  number: number;
  encoding: string;
  synchronous_commit: string;
  fsync: string;
  full_page_writes: string;
  max_connections: number;
  public_creates: boolean;
}

const SELECT_FACTS = `
  select pg_backend_pid() as pid, current_setting('server_version') as version,
    current_setting('server_version_num')::int as number, current_setting('server_encoding') as encoding,
    current_setting('synchronous_commit') as synchronous_commit, current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    coalesce((select has_schema_privilege('public', oid, 'create') from pg_namespace where nspname = 'public'), false)
      as public_creates,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as max_connections`;

const OLDEST_SERVER = 140_000;

/**
 * Asks over a connection of its own, whose settings are the defaults of server, database and role.
 * @param signal ends the wait for a server that does not answer
 * @throws TartanError `config_invalid` when the server is too old or does not keep UTF-8; pg's errors when it is away
 */
export async function readFacts(config: ClientConfig, signal?: AbortSignal): Promise<Facts> {
  const client = new Client(config);
  client.on("error", () => undefined);
  const onAbort = () => drop(client, "the process was asked to stop");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await client.connect();
    const { rows } = await within(client, CONNECT_MS, client.query<Row>(SELECT_FACTS));
    const [row] = rows;
    if (!row) throw new TartanError("database_unavailable", "Postgres did not report its version");
    checkServer(row);
    // A pooler names a process of its own at the start of a connection.
    const { processID } = client as unknown as { processID: number | null };
    return { pooled: processID !== row.pid, warnings: weaknesses(row), maxConnections: row.max_connections };
  } finally {
    signal?.removeEventListener("abort", onAbort);
    void endClient(client);
  }
}

/** Postgres is new enough and keeps UTF-8: what Plaid sends has names in every script. */
function checkServer({ number, version, encoding }: Row): void {
  const refuse = (fault: string): TartanError =>
    new TartanError("config_invalid", `The database is not usable: ${fault}`, {
      fields: { TARTAN_DATABASE_URL: fault },
    });
  if (number < OLDEST_SERVER) throw refuse(`it is Postgres ${version}; Tartan needs 14 or newer`);
  if (encoding !== "UTF8") {
    throw refuse(`its encoding is ${encoding}; create it with: create database … encoding 'UTF8' template template0`);
  }
}

function weaknesses(row: Row): string[] {
  const found: string[] = [];
  if (row.fsync === "off") {
    found.push(
      "fsync is off: a crash of the machine can lose acknowledged data, or everything. Switch it on and restart Postgres.",
    );
  }
  if (row.full_page_writes === "off") {
    found.push(
      "full_page_writes is off: a crash of the machine can damage tables. Switch it on, unless the disk never tears a page.",
    );
  }
  if (row.synchronous_commit === "off") {
    found.push(
      "synchronous_commit is off by default here: Tartan switches it on for its own commits, and for no one else's.",
    );
  }
  if (row.public_creates) {
    found.push(
      "every login of the database may create objects in schema public: run `revoke create on schema public from public`.",
    );
  }
  return found;
}

/** Connections besides the pool: the listener's, that of the relay's leases, and the watch's. */
const OTHER_CONNECTIONS = 3;

interface Circumstances {
  poolSize: number;
  /** there is a URL that bypasses the pooler */
  direct: boolean;
  logger: Logger;
}

/** Logs at the start of a server what its operator should know about this database. */
export function reportFacts(facts: Facts, { poolSize, direct, logger }: Circumstances): void {
  for (const warning of facts.warnings) logger.error(`The database is not set up safely: ${warning}`);
  if (facts.pooled && !direct) {
    logger.warn(
      "TARTAN_DATABASE_URL points to a connection pooler, which does not pass on notifications: Tartan polls. " +
        "Set TARTAN_DATABASE_DIRECT_URL to save up to a second of latency.",
    );
  }
  if (!facts.pooled && poolSize + OTHER_CONNECTIONS > facts.maxConnections) {
    logger.warn(
      { max_connections: facts.maxConnections, pool_size: poolSize },
      "Postgres grants fewer connections than this process may need; raise max_connections or lower TARTAN_DATABASE_POOL_SIZE",
    );
  }
}
