/**
 * API keys. Postgres stores their SHA-256 hashes. A key is 256 random bits, so nobody can find it from its hash, and the
 * time that a lookup by hash takes reveals nothing about the keys.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { audit } from "../audit/audit.ts";
import type { Database, Queryable } from "../database/types.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import { newApiKeyId } from "../model/ids.ts";
import { ADD_KEY, FIND_KEY, HAS_KEY, SET_KEY } from "./queries.ts";

export interface ApiKey {
  id: string;
  name: string;
}

const ADMIN = "admin";
const LONGEST = 1024;
/** How long a reset key may still work in another process. */
const CACHE_MS = 5_000;
const CACHE_SIZE = 1_000;

const hash = (key: string): Buffer => createHash("sha256").update(key).digest();
const newKey = (): string => `tak_${randomBytes(32).toString("base64url")}`;

/**
 * Ensures that there is an administrator's key: the configured one, which replaces the stored one; else the stored
 * one; else a new one, which is returned only now.
 */
export async function ensureAdminKey(
  database: Queryable,
  configured?: string,
): Promise<{ key?: string; generated: boolean }> {
  if (configured !== undefined) {
    await database.query(SET_KEY, [newApiKeyId(), ADMIN, hash(configured)]);
    return { key: configured, generated: false };
  }
  if ((await database.query(HAS_KEY, [ADMIN])).rowCount > 0) return { generated: false };
  const key = newKey();
  const added = await database.query(ADD_KEY, [newApiKeyId(), ADMIN, hash(key)]);
  return added.rowCount > 0 ? { key, generated: true } : { generated: false };
}

/** Replaces the administrator's key. The old one stops working at once in this process, and within seconds in others. */
export async function resetAdminKey(database: Database, by: Change = BY_TARTAN): Promise<{ key: string }> {
  const key = newKey();
  await database.transaction(async (tx) => {
    await tx.query(SET_KEY, [newApiKeyId(), ADMIN, hash(key)]);
    await audit(tx, by, { action: "api_key.reset", target: ADMIN });
  });
  caches.delete(database);
  return { key };
}

/** How the audit log names the owner of a key. */
export const actorOf = ({ name }: ApiKey): string => (name === ADMIN ? "admin key" : name);

type Cache = Map<string, { key: ApiKey; until: number }>;
const caches = new WeakMap<Database, Cache>();

function cacheOf(database: Database): Cache {
  const cache = caches.get(database) ?? new Map();
  caches.set(database, cache);
  return cache;
}

/** The owner of the presented key; null when there is none. Known keys are cached for a few seconds. */
export async function authenticate(database: Database, presented: string): Promise<ApiKey | null> {
  if (presented.length === 0 || presented.length > LONGEST) return null;
  const digest = hash(presented);
  const name = digest.toString("latin1");
  const cache = cacheOf(database);
  const cached = cache.get(name);
  if (cached && cached.until > Date.now()) return cached.key;
  const { rows } = await database.query<ApiKey & { key_sha256: Buffer }>(FIND_KEY, [digest]);
  const found = rows.find((row) => timingSafeEqual(row.key_sha256, digest));
  cache.delete(name);
  if (!found) return null;
  if (cache.size >= CACHE_SIZE) cache.clear();
  const key = { id: found.id, name: found.name };
  cache.set(name, { key, until: Date.now() + CACHE_MS });
  return key;
}
