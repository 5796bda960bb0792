/**
 * What Postgres stores of a password (RFC 5803): a verifier that proves the password and does not reveal it. Tartan makes
 * it, so that the password itself is never in a statement, which a server may log.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

/** Postgres' own default. */
const ITERATIONS = 4096;

/** @param password printable ASCII, which needs no preparation */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
  const stored = createHash("sha256").update(keyed("Client Key")).digest("base64");
  const server = keyed("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${stored}:${server}`;
}
