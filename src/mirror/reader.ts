/**
 * Read-only logins to the mirror, for `psql` and BI tools: one that sees every integration, and one a tenant. A reader
 * sees schema plaid and nothing else of Tartan; a tenant's sees only its own rows there.
 */
import { randomBytes } from "node:crypto";
import { escapeIdentifier } from "pg";
import { codeOf } from "../database/failures.ts";
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import {
  ALTER_READER_PASSWORD,
  CREATE_READER,
  CURRENT_DATABASE,
  DELETE_READER,
  DROP_READER,
  GET_READER,
  GRANT_MIRROR,
  INSERT_READER,
  LIST_FOREIGN_READERS,
  LOCK_READERS,
  REVOKE_MIRROR,
  SET_READER_PASSWORD,
} from "./reader-queries.ts";
import { scramVerifier } from "./scram.ts";

export interface ReaderScope {
  /** only this integration's rows; all of them when absent */
  integrationId?: string | undefined;
  /** a new password; the old one stops working for new connections */
  rotate?: boolean | undefined;
}

/** Called in the transaction that makes a reader or gives it another password. */
type OnReaderChange = (tx: Queryable, role: string, change: "created" | "rotated") => Promise<void>;

interface Reader {
  role: string;
  password: string;
}

const INSUFFICIENT_PRIVILEGE = "42501";
const newPassword = (): string => randomBytes(24).toString("base64url");

/**
 * The connection string of the reader; makes the reader if there is none. The same one every time, until `rotate`.
 * @param onChange records what was made or changed
 * @param url Tartan's own, whose host, port, database and parameters the string keeps
 * @throws TartanError `invalid_request` with the statements that a DBA should run, when Tartan's own role may not make roles
 */
export async function readerUrl(
  database: Database,
  url: string,
  scope: ReaderScope = {},
  onChange: OnReaderChange = async () => undefined,
): Promise<string> {
  const { integrationId, rotate = false } = scope;
  await removeForeign(database);
  const reader = await recordReader(database, integrationId ?? null, rotate, onChange);
  await database.transaction(async (tx) => {
    await tx.query(LOCK_READERS);
    await ensureRole(tx, reader, integrationId ?? null, rotate);
    await tx.query(GRANT_MIRROR, [reader.role]);
  });
  return asUrl(url, reader);
}

/** A copy of a database lists the original's readers and lets them in. Their rights on the copy are revoked; the roles stay. */
async function removeForeign(database: Database): Promise<void> {
  const { rows } = await database.query<{ role: string; present: boolean }>(LIST_FOREIGN_READERS);
  for (const { role, present } of rows) {
    await database.transaction(async (tx) => {
      if (present) for (const statement of REVOKE_MIRROR(escapeIdentifier(role))) await tx.query(statement);
      await tx.query(DELETE_READER, [role]);
    });
  }
}

/**
 * Drops a tenant's login. Where Tartan may not drop roles, it still revokes the role's rights.
 */
export async function removeReader(database: Database, integrationId: string): Promise<void> {
  const [reader] = (await database.query<Reader & { present: boolean }>(GET_READER, [integrationId])).rows;
  if (!reader) return;
  await database.query(DELETE_READER, [reader.role]);
  if (!reader.present) return;
  const role = escapeIdentifier(reader.role);
  for (const statement of [...REVOKE_MIRROR(role), DROP_READER(role)]) {
    await database.query(statement).catch((error: unknown) => {
      if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    });
  }
}

/** Name and password, committed before the role is made: a DBA may have to make it with the same name and password. */
async function recordReader(
  database: Database,
  integrationId: string | null,
  rotate: boolean,
  onChange: OnReaderChange,
): Promise<Reader> {
  return await database.transaction(async (tx) => {
    await tx.query(LOCK_READERS);
    const [known] = (await tx.query<Reader>(GET_READER, [integrationId])).rows;
    const kind = integrationId === null ? "tartan_reader" : "tartan_tenant";
    // Random, since roles belong to the whole cluster, and every login may see their names.
    const role = known?.role ?? `${kind}_${randomBytes(8).toString("hex")}`;
    if (known && !rotate) return { role, password: known.password };
    const password = newPassword();
    if (known) await tx.query(SET_READER_PASSWORD, [role, password]);
    else await tx.query(INSERT_READER, [role, integrationId, password]);
    await onChange(tx, role, known ? "rotated" : "created");
    return { role, password };
  });
}

async function ensureRole(tx: Queryable, reader: Reader, integrationId: string | null, rotate: boolean): Promise<void> {
  const [known] = (await tx.query<{ present: boolean }>(GET_READER, [integrationId])).rows;
  const [here] = (await tx.query<{ name: string; role: string }>(CURRENT_DATABASE)).rows;
  const role = escapeIdentifier(reader.role);
  const verifier = scramVerifier(reader.password);
  const statements = known?.present
    ? rotate
      ? [ALTER_READER_PASSWORD(role, verifier)]
      : []
    : CREATE_READER(role, escapeIdentifier(here?.name ?? ""), verifier);
  try {
    for (const statement of statements) await tx.query(statement);
  } catch (error) {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new TartanError(
      "invalid_request",
      `Tartan's database role ${here?.role} may not make or change roles. Let it (alter role ${escapeIdentifier(here?.role ?? "")} ` +
        `createrole), or have a DBA run this, and repeat the command:\n\n${statements.map((text) => `  ${text};\n`).join("")}`,
      { cause: error },
    );
  }
}

/** Certificates and session settings in the URL are Tartan's own. */
const OWN_PARAMETERS = ["options", "sslcert", "sslkey", "sslpassword", "application_name", "user", "password"];

function asUrl(url: string, { role, password }: Reader): string {
  const readers = new URL(url);
  readers.username = role;
  readers.password = password;
  for (const name of OWN_PARAMETERS) readers.searchParams.delete(name);
  return readers.href;
}
