/**
 * Who owns the embedded server. The owner holds a session lock in it, with its process id in the session's name:
 *
 *   claiming → owning → (session lost) → reclaiming → owning … → released
 *
 * While it owns, it also keeps the server alive: one that died is started again on its port. It lets go only after it
 * has stopped the server, so that nobody can claim a server that is about to go.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { TartanError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { clientConfig } from "./connection.ts";
import { translateFailure } from "./failures.ts";
import { isAlive, waitUntil } from "./postmaster.ts";
import { CLAIM_SERVER, SELECT_OWNER } from "./queries.ts";
import type { Running } from "./server.ts";

export interface Claim extends AsyncDisposable {
  port: number;
}

interface ClaimOptions {
  urlAt: (port: number) => string;
  /** finds or starts the server; on this port, if one is given */
  ensure: (port?: number) => Promise<Running>;
  stop: () => Promise<void>;
  dataDir: string;
  logger: Logger;
}

const NAME = "tartan owner, process ";
/** A killed owner's session ends as soon as the server notices, which is at once but for load. */
const RELEASE_MS = 10_000;
/** A server found while it stops is waited for and started anew. */
const CLAIM_MS = 60_000;
const RECLAIM_DELAY_MS = 100;
const RECLAIM_DELAY_MAX_MS = 10_000;

class OwnershipClaim implements Claim {
  port = 0;
  readonly #options: ClaimOptions;
  #client: Client | undefined;
  #reclaiming: Promise<void> | undefined;
  readonly #released = new AbortController();

  constructor(options: ClaimOptions) {
    this.#options = options;
  }

  async claim(): Promise<void> {
    for (const end = Date.now() + CLAIM_MS; ; await delay(RECLAIM_DELAY_MS)) {
      const server = await this.#options.ensure();
      this.port = server.port;
      try {
        await this.#take();
        return;
      } catch (error) {
        const passing = error instanceof TartanError && error.code === "database_unavailable" && !isRefusal(error);
        if (!passing || Date.now() > end) throw error;
      }
    }
  }

  /** @throws TartanError `data_dir_in_use` when another Tartan that lives has it */
  async #take(): Promise<void> {
    const url = this.#options.urlAt(this.port);
    const client = new Client(clientConfig({ url, applicationName: `${NAME}${process.pid}` }));
    client.on("error", () => this.#lost(client));
    client.on("end", () => this.#lost(client));
    try {
      await client.connect();
      let owner: number | undefined;
      const claimed = await waitUntil(async () => {
        if ((await client.query<{ claimed: boolean }>(CLAIM_SERVER)).rows[0]?.claimed) return true;
        owner = await ownerOf(client);
        if (owner !== undefined && isAlive(owner)) throw inUse(this.#options.dataDir, owner);
        return false;
      }, RELEASE_MS);
      if (!claimed) throw inUse(this.#options.dataDir, owner);
      this.#client = client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw translateFailure(error);
    }
  }

  #lost(client: Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (this.#released.signal.aborted) return;
    this.#options.logger.warn("the embedded Postgres ended the owner's session; looking after it");
    this.#reclaiming = this.#reclaim();
  }

  async #reclaim(): Promise<void> {
    const { ensure, logger } = this.#options;
    const { signal } = this.#released;
    for (
      let wait = RECLAIM_DELAY_MS;
      !signal.aborted && !this.#client;
      wait = Math.min(wait * 2, RECLAIM_DELAY_MAX_MS)
    ) {
      try {
        await ensure(this.port);
        await this.#take();
        logger.info({ port: this.port }, "the embedded Postgres is back");
      } catch (error) {
        logger.error({ err: error }, "the embedded Postgres is not back yet");
        await delay(wait, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released.signal.aborted) return;
    this.#released.abort();
    await this.#reclaiming;
    if (await this.#owns()) await this.#options.stop();
    await this.#client?.end().catch(() => undefined);
  }

  /** Whether the server is ours to stop; one that was lost may be another's by now, or gone. */
  async #owns(): Promise<boolean> {
    if (this.#client) return true;
    return await this.#take().then(
      () => true,
      () => false,
    );
  }
}

/** The server answers and does not let us in: waiting does not mend that. */
function isRefusal({ cause }: TartanError): boolean {
  return String((cause as { code?: unknown } | undefined)?.code).startsWith("28");
}

async function ownerOf(client: Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(SELECT_OWNER);
  const name = rows[0]?.name ?? "";
  return name.startsWith(NAME) ? Number(name.slice(NAME.length)) : undefined;
}

function inUse(dataDir: string, owner: number | undefined): TartanError {
  const who = owner === undefined ? "another Tartan" : `another Tartan, process ${owner}`;
  return new TartanError(
    "data_dir_in_use",
    `The data directory ${dataDir} is in use by ${who}. Stop that one, give this one a folder of its own with ` +
      "TARTAN_DATA_DIR, or let both share one Postgres with TARTAN_DATABASE_URL.",
    { fields: { TARTAN_DATA_DIR: `in use by ${who}` } },
  );
}

/**
 * Finds or starts the server and claims it; disposing stops it.
 * @throws TartanError `data_dir_in_use`, `database_unavailable`
 */
export async function claimServer(options: ClaimOptions): Promise<Claim> {
  const claim = new OwnershipClaim(options);
  await claim.claim();
  return claim;
}
