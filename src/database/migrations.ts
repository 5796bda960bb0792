/**
 * Reads the migrations that this version of Tartan carries: sql/NNNN_name.sql, numbered from 0001 without a gap.
 * A comment line `-- breaking` before the first statement marks one after which older versions must not run.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { TartanError } from "../errors.ts";

export interface Migration {
  version: number;
  /** file name without .sql, such as 0001_database */
  name: string;
  sql: string;
  /** SHA-256 in hex, over the text with \n line ends: a checkout may have rewritten them */
  checksum: string;
  breaking: boolean;
}

/** sql/ beside src/ or dist/, whichever this file runs from. */
export const MIGRATIONS_FOLDER = new URL("../../sql/", import.meta.url);

const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;

function isBreaking(sql: string): boolean {
  const header = sql.split("\n").map((line) => line.trim());
  const end = header.findIndex((line) => line !== "" && !line.startsWith("--"));
  return header.slice(0, end === -1 ? undefined : end).some((line) => /^--\s*breaking$/i.test(line));
}

async function readMigration(folder: URL, file: string): Promise<Migration> {
  const sql = (await readFile(new URL(file, folder), "utf8")).replaceAll("\r\n", "\n");
  return {
    version: Number(file.slice(0, 4)),
    name: file.slice(0, -".sql".length),
    sql,
    checksum: createHash("sha256").update(sql).digest("hex"),
    breaking: isBreaking(sql),
  };
}

/**
 * Why this database was not made by these migrations, in sentences that say what to do; null when it was.
 * A released file is never changed, so only a version from before the first release can have made such a database.
 */
export function mismatchOf(
  migrations: readonly Migration[],
  applied: readonly Pick<Migration, "version" | "name" | "checksum">[],
): string | null {
  for (const row of applied) {
    const ours = migrations[row.version - 1];
    if (!ours || (ours.checksum === row.checksum && ours.name === row.name)) continue;
    const cause =
      ours.name === row.name
        ? `sql/${row.name}.sql was changed after it had been applied to this database`
        : `This database was made by a version of Tartan from before its first release, which had other tables ` +
          `(${row.name} where this version has ${ours.name})`;
    return (
      `${cause}. Keep the database with the version that made it, or begin anew: with \`npx tartan demo --fresh\` where ` +
      "the demo made it, else with another TARTAN_DATA_DIR or with TARTAN_DATABASE_URL of an empty database."
    );
  }
  return null;
}

/** @throws TartanError `migration_failed` when a file is misnamed, or a number is missing or there twice */
export async function readMigrations(folder: URL = MIGRATIONS_FOLDER): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).toSorted();
  const misnamed = files.find((file) => !FILE_NAME.test(file));
  if (misnamed !== undefined) {
    throw new TartanError("migration_failed", `sql/${misnamed} is not named like 0001_some_name.sql`);
  }
  const migrations = await Promise.all(files.map((file) => readMigration(folder, file)));
  migrations.forEach(({ version, name }, index) => {
    if (version === index + 1) return;
    throw new TartanError(
      "migration_failed",
      `sql/${name}.sql should have number ${index + 1}: numbers have no gap and no double`,
    );
  });
  return migrations;
}
