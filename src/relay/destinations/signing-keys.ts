/**
 * The keys that sign requests to a destination. After a rotation the previous keys also sign for a while, so that a receiver has
 * time to switch: one signature that it can verify is enough.
 */
import type { Database, Queryable } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import { beginSealing } from "../../integrations/sealing.ts";
import type { Vault } from "../../integrations/vault.ts";
import { checkRotation, type KeyRotation } from "./destination.schema.ts";
import { newSigningKeyId } from "../../model/ids.ts";
import {
  DROP_KEYS,
  EXPIRE_KEYS,
  HOLD_DESTINATION,
  INSERT_KEY,
  LIST_KEYS,
  NOTIFY_RELAY,
  updateDestination,
} from "./queries.ts";
import { signingSecret } from "./sealed.ts";
import { newSecret, openSigner, type SigningScheme } from "../senders/signing.ts";

/** A key as the API shows it. */
export interface SigningKey {
  id: string;
  scheme: SigningScheme;
  /** whpk_…, of v1a: the receiver verifies with it */
  public_key: string | null;
  /** ISO 8601 */
  created_at: string;
  /** the key signs until then; null until it is rotated */
  expires_at: string | null;
}

type Row = Omit<SigningKey, "created_at" | "expires_at"> & { created_at: Date; expires_at: Date | null };

/** Each signature adds a hundred bytes to a header. */
const KEYS_MAX = 10;

const publicShape = (row: Row): SigningKey => ({
  ...row,
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at?.toISOString() ?? null,
});

/** Stores a key. The caller began sealing. */
export async function addKey(
  tx: Queryable,
  vault: Vault,
  destinationId: string,
  scheme: SigningScheme,
  given?: string,
): Promise<{ key: SigningKey; secret: string }> {
  const { secret, publicKey } =
    given === undefined ? newSecret(scheme) : { secret: given, publicKey: openSigner(scheme, given).publicKey };
  const id = newSigningKeyId();
  const sealed = vault.seal(secret, signingSecret(id));
  const { rows } = await tx.query<Row>(INSERT_KEY, [id, destinationId, scheme, sealed, publicKey]);
  if (!rows[0]) throw new TartanError("internal", "A signing key was not stored.");
  return { key: publicShape(rows[0]), secret };
}

/**
 * Creates a key, which signs at once. The newest nine of the previous keys also sign until the grace period ends.
 * @returns the new key with its secret, which is never shown again
 * @throws TartanError `not_found`, `invalid_request`
 */
export async function rotateSigningKey(
  { database, vault }: { database: Database; vault: Vault },
  destinationId: string,
  rotation: KeyRotation = {},
): Promise<SigningKey & { signing_secret: string }> {
  return await database.transaction(async (tx) => {
    await beginSealing(tx, vault);
    if ((await tx.query(HOLD_DESTINATION, [destinationId])).rowCount === 0) throw notFound(destinationId);
    const [newest] = await listSigningKeys(tx, destinationId);
    const known = newest?.scheme ?? "v1";
    const { grace_s: grace, scheme, secret: given } = checkRotation(rotation, known);
    await tx.query(EXPIRE_KEYS, [destinationId, grace]);
    const { key, secret } = await addKey(tx, vault, destinationId, scheme, given);
    await tx.query(DROP_KEYS, [destinationId, KEYS_MAX]);
    await tx.query(updateDestination([]), [destinationId]);
    await tx.query(NOTIFY_RELAY);
    return { ...key, signing_secret: secret };
  });
}

/** The keys that sign now, newest first. */
export async function listSigningKeys(q: Queryable, destinationId: string): Promise<SigningKey[]> {
  return (await q.query<Row>(LIST_KEYS, [destinationId])).rows.map(publicShape);
}

const notFound = (id: string): TartanError =>
  new TartanError("not_found", `There is no destination ${id}.`, { fields: { id: "names no destination" } });
