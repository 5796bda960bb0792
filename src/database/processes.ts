/**
 * The Tartan processes that work on one database, each with a row that it refreshes while it lives. Commands read the
 * rows to find the running server's URL and settings; `tartan status` shows them. A row informs people and
 * commands: no decision about who may write depends on it.
 */
import { hostname } from "node:os";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import {
  DELETE_PROCESS,
  INSERT_PROCESS,
  LIST_PROCESSES,
  LIST_PROCESSES_WITHOUT_KEY,
  PRUNE_PROCESSES,
  REFRESH_PROCESS,
} from "./queries.ts";
import type { Database, Queryable } from "./types.ts";

/** The settings of a server that a command has to share, or it would refuse what the server allows. */
export interface SharedSettings {
  relay_allow_http: boolean;
  relay_allowed_addresses: readonly string[];
}

export interface ProcessFacts {
  version: string;
  roles: string[];
  /** where the process listens, such as http://127.0.0.1:4400 */
  url: string;
  /** TARTAN_PUBLIC_URL, or null where it is not set */
  public_url: string | null;
  settings: SharedSettings;
  /** fingerprints of the master keys it can open; null when it reads a new key from the file of the data directory by itself */
  master_key_ids: readonly string[] | null;
}

export interface TartanProcess extends Omit<ProcessFacts, "master_key_ids"> {
  id: string;
  host: string;
  pid: number;
  started_at: Date;
  seen_at: Date;
}

const REFRESH_MS = 10_000;

/** Adds this process to the list, and removes it when disposed. A row that cannot be refreshed is written again later. */
export async function registerProcess(
  { database, logger, clock }: { database: Database; logger: Logger; clock: Clock },
  facts: ProcessFacts,
): Promise<AsyncDisposable> {
  const values = [
    hostname(),
    process.pid,
    facts.version,
    facts.roles,
    facts.url,
    facts.public_url,
    JSON.stringify(facts.settings),
    facts.master_key_ids,
  ];
  const insert = async (): Promise<string | undefined> =>
    (await database.query<{ id: string }>(INSERT_PROCESS, values)).rows[0]?.id;
  await database.query(PRUNE_PROCESSES);
  let id = await insert();
  const stop = new AbortController();
  const refreshing = (async () => {
    for (;;) {
      await clock.sleep(REFRESH_MS, stop.signal);
      if (stop.signal.aborted) return;
      try {
        // Another process prunes rows that were not refreshed for a day, such as that of a process that was frozen.
        const { rowCount } = await database.query(REFRESH_PROCESS, [id]);
        if (rowCount === 0) id = await insert();
      } catch (error) {
        logger.debug({ error }, "the row of this process could not be refreshed");
      }
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await refreshing;
      // With Postgres away the row goes stale by itself.
      await database.query(DELETE_PROCESS, [id]).catch(() => undefined);
    },
  };
}

/** The processes that live, newest first. */
export async function listProcesses(q: Queryable): Promise<TartanProcess[]> {
  return (await q.query<TartanProcess>(LIST_PROCESSES)).rows;
}

/** The processes that live and cannot open values that this master key sealed. */
export async function listProcessesWithoutKey(q: Queryable, keyId: string): Promise<{ host: string; pid: number }[]> {
  return (await q.query<{ host: string; pid: number }>(LIST_PROCESSES_WITHOUT_KEY, [keyId])).rows;
}
