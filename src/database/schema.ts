/** Whether the database is the one that this version of Tartan works with; asked by probes, so it costs one statement. */
import { codeOf } from "./failures.ts";
import { mismatchOf, readMigrations, type Migration } from "./migrations.ts";
import { SELECT_MIGRATIONS } from "./queries.ts";
import type { Queryable } from "./types.ts";

export interface SchemaState {
  /** number of the newest migration that was applied; 0 when none was */
  version: number;
  /** why this version of Tartan cannot work with it, without the last period; null when it can */
  fault: string | null;
}

const UNDEFINED_TABLE = "42P01";
type Applied = Pick<Migration, "version" | "name" | "checksum" | "breaking">;

let known: Promise<readonly Migration[]> | undefined;

/** @throws TartanError `database_unavailable` */
export async function schemaState(q: Queryable): Promise<SchemaState> {
  known ??= readMigrations();
  const migrations = await known;
  const newest = migrations.length;
  const applied = await readApplied(q);
  const version = Math.max(0, ...applied.map((row) => row.version));
  const mismatch = mismatchOf(migrations, applied);
  if (mismatch !== null) return { version, fault: mismatch.replace(/\.$/, "") };
  const breaking = applied.find((row) => row.version > newest && row.breaking);
  if (breaking) return { version, fault: `the schema is too new: a newer Tartan applied ${breaking.name}` };
  if (version < newest)
    return { version, fault: `the schema is at ${version} and has to be at ${newest}: run \`npx tartan migrate\`` };
  return { version, fault: null };
}

async function readApplied(q: Queryable): Promise<readonly Applied[]> {
  try {
    return (await q.query<Applied>(SELECT_MIGRATIONS)).rows;
  } catch (error) {
    if (codeOf(error) === UNDEFINED_TABLE) return [];
    throw error;
  }
}
