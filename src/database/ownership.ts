/**
 * Who owns the embedded server. The owner holds a session lock in it, with its process id in the session's name:
 *
 *   claiming → owning → (session lost) → reclaiming → owning … → released
 *
 * While it owns, it also keeps the server alive: a server that died is started again on its port.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { describeError, TartanError } from "../errors.ts";
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
  server: Running;
  urlAt: (port: number) => string;
  /** starts the server anew, on the given port */
  ensure: (port: number) => Promise<Running>;
  dataDir: string;
  logger: Logger;
}

const NAME = "tartan owner, process ";
/** A killed owner's session ends as soon as the server notices, which is at once but for load. */
const RELEASE_MS = 10_000;
const RECLAIM_DELAY_MS = 500;

class OwnershipClaim implements Claim {
  readonly port: number;
  readonly #options: ClaimOptions;
  #client: Client | undefined;
  #reclaiming: Promise<void> | undefined;
  readonly #released = new AbortController();

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.port = options.server.port;
  }

  /** @throws TartanError `data_dir_in_use` when another Tartan that lives has it */
  async take(): Promise<void> {
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
    while (!this.#released.signal.aborted && !this.#client) {
      try {
        await ensure(this.port);
        await this.take();
        logger.info({ port: this.port }, "the embedded Postgres is back");
      } catch (error) {
        logger.error({ err: describeError(error) }, "the embedded Postgres is not back yet");
        await delay(RECLAIM_DELAY_MS, undefined, { signal: this.#released.signal }).catch(() => undefined);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.abort();
    await this.#reclaiming;
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }
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

export async function claimServer(options: ClaimOptions): Promise<Claim> {
  const claim = new OwnershipClaim(options);
  await claim.take();
  return claim;
}
