/**
 * A real server on a free port, with a database of its own and the simulator as Plaid: `await using api = await startApi()`.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { createServer, type ServerDeps } from "../../src/api/server.ts";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/database/types.ts";
import { ensureAdminKey } from "../../src/integrations/api-keys.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { openRecords } from "../../src/journal/records.ts";
import { openRefusals } from "../../src/journal/refusals.ts";
import type { Logger } from "../../src/logger.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { openVerificationKeys } from "../../src/plaid/keys.ts";
import { createGuard } from "../../src/relay/senders/http/guard.ts";
import { openTransforms } from "../../src/relay/content/transform.ts";
import { startSimulator, type Simulator } from "../../src/simulator/index.ts";
import { testDatabase } from "../support/database.ts";

export const KEY = "an-api-key-for-tests-only";

/** JSON without a declared shape; tests say what they expect of it. */
// eslint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  body: Json;
}

interface CallOptions {
  /** null: without an Authorization header */
  key?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface TestApi extends AsyncDisposable {
  app: FastifyInstance;
  url: string;
  database: Database;
  vault: Vault;
  simulator: Simulator;
  /** every log line that was written, as text */
  logged: string[];
  /** `call("GET /v1/items")`, with the API key; a body that is a string is sent as it is */
  call(request: string, options?: CallOptions): Promise<Answer>;
  /** an integration that asks the simulator */
  integrate(more?: Record<string, unknown>): Promise<{ id: string; webhook_secret: string; url: string }>;
}

interface ApiOptions {
  roles?: ServerDeps["roles"];
  /** destinations may be on this machine, by default */
  urls?: ServerDeps["urls"];
  config?: Partial<ServerDeps["config"]>;
}

export async function startApi({
  roles = { receiver: true, api: true, sync: true },
  urls = { allowHttp: true, checkUrl: createGuard({ allow: ["127.0.0.0/8"] }).check },
  config,
}: ApiOptions = {}): Promise<TestApi> {
  await using closer = new Closer();
  const opened = <T extends AsyncDisposable>(resource: T): T => closer.use(resource);
  const logged: string[] = [];
  const logger: Logger = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });
  const clock = systemClock;
  const { database } = opened(await testDatabase());
  const simulator = opened(await startSimulator({ rateLimits: false }));
  const vault = openVault([randomBytes(32).toString("base64")]);
  const directory = opened(await openDirectory({ database, vault, logger, clock }));
  const clientFor: ServerDeps["clientFor"] = ({ plaidUrl: baseUrl, clientId, secret }) =>
    createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock });
  await ensureAdminKey(database, KEY);
  const app = await createServer({
    config: { publicUrl: undefined, host: "127.0.0.1", port: 0, trustedProxies: [], allowedSources: [], ...config },
    roles,
    database,
    vault,
    directory,
    intake: opened(openIntake({ database, vault, queueMax: 1000, logger })),
    records: openRecords(database),
    refusals: opened(openRefusals({ database, logger, clock })),
    keys: openVerificationKeys({ database, clientFor, clock, logger, fetchesPerMinute: 60 }),
    clientFor,
    urls,
    guard: createGuard({ allow: ["127.0.0.0/8"] }),
    transforms: opened(openTransforms({})),
    clock,
    logger,
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  opened({ [Symbol.asyncDispose]: () => app.close() });
  const call = callerOf(url);
  const plaid = { client_id: simulator.clientId, secret: simulator.secret, plaid_url: simulator.url };
  return {
    app,
    url,
    database,
    vault,
    simulator,
    logged,
    call,
    integrate: async (more) => {
      const body = { ...plaid, environment: "sandbox", ...more };
      const made = await call("POST /v1/integrations", { body });
      if (made.status !== 201) throw new Error(`not created: ${made.text}`);
      return made.body;
    },
    [Symbol.asyncDispose]: closer.release(),
  };
}

/** Closes what was opened, in the opposite order: at the end of its scope, unless somebody took that over. */
class Closer implements AsyncDisposable {
  #opened: AsyncDisposable[] = [];

  use<T extends AsyncDisposable>(resource: T): T {
    this.#opened.unshift(resource);
    return resource;
  }

  release(): () => Promise<void> {
    const opened = this.#opened;
    this.#opened = [];
    return async () => {
      for (const resource of opened) await resource[Symbol.asyncDispose]();
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()();
  }
}

export function callerOf(url: string): TestApi["call"] {
  return async (request, { key = KEY, body, headers = {} } = {}) => {
    const [method = "GET", path = "/"] = request.split(" ");
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    // A stream has no end; tests of it read it themselves.
    const isStream = response.headers.get("content-type") === "text/event-stream";
    if (isStream) await response.body?.cancel();
    const text = isStream ? "" : await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") && text !== "";
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
}
