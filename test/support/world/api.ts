/** The API server on a free port, with the simulator as Plaid, and calls to it. */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { openDoor, type Door } from "../../../src/api/http/door.ts";
import { createServer, type ServerDeps } from "../../../src/api/server.ts";
import { systemClock as clock } from "../../../src/clock.ts";
import { ensureAdminKey } from "../../../src/integrations/api-keys.ts";
import { openDirectory } from "../../../src/integrations/directory.ts";
import { openIntake } from "../../../src/journal/intake.ts";
import { openRecords } from "../../../src/journal/records.ts";
import { openRefusals } from "../../../src/journal/refusals.ts";
import { openLogins } from "../../../src/listeners/logins.ts";
import type { Logger } from "../../../src/logger.ts";
import { createPlaidClient } from "../../../src/plaid/client.ts";
import { keyTable } from "../../../src/plaid/key-table.ts";
import { openVerificationKeys } from "../../../src/plaid/keys.ts";
import { openTransforms } from "../../../src/relay/content/transform.ts";
import { createGuard } from "../../../src/relay/senders/http/guard.ts";
import type { Base } from "./base.ts";
import type { SimulatorPart } from "./simulator.ts";

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

/** `call("GET /v1/items")`, with the API key; a body that is a string is sent as it is */
export type Call = (request: string, options?: CallOptions) => Promise<Answer>;

interface ApiOptions {
  roles?: ServerDeps["roles"];
  /** destinations may be on this machine, by default */
  urls?: ServerDeps["urls"];
  config?: Partial<ServerDeps["config"]>;
  /** where a token that is rotated is kept */
  dataDir?: string;
}

export interface ApiPart {
  app: FastifyInstance;
  /** listens, and closes the app */
  door: Door;
  url: string;
  /** every log line that was written, as text */
  logged: string[];
  call: Call;
  /** makes an integration that asks the simulator, by a call */
  integrate(more?: Record<string, unknown>): Promise<{ id: string; webhook_secret: string; url: string }>;
}

export const api = {
  needs: ["simulator"],
  start: async (world: Base & { simulator: SimulatorPart }, options: ApiOptions): Promise<ApiPart> => {
    const { clientId: client_id, secret, url: plaid_url } = world.simulator;
    const logged: string[] = [];
    const logger: Logger = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });
    await ensureAdminKey(world.database, KEY);
    const deps = await depsOf(world, options, logger);
    if (options.dataDir === undefined)
      world.use({ [Symbol.asyncDispose]: () => rm(deps.dataDir, { recursive: true, force: true }) });
    const { door } = deps;
    const app = await createServer(deps);
    world.use(door);
    await door.serve(app);
    const url = await door.listen({ host: "127.0.0.1", port: 0 });
    const call = callerOf(url);
    return {
      app,
      door,
      url,
      logged,
      call,
      integrate: async (more) => {
        const body = { client_id, secret, plaid_url, environment: "sandbox", ...more };
        const made = await call("POST /v1/integrations", { body });
        if (made.status !== 201) throw new Error(`not created: ${made.text}`);
        return made.body;
      },
    };
  },
} as const;

async function depsOf(world: Base, { roles, urls, config, dataDir }: ApiOptions, logger: Logger): Promise<ServerDeps> {
  const { database, vault } = world;
  const guard = createGuard({ allow: ["127.0.0.0/8"] });
  const clientFor: ServerDeps["clientFor"] = ({ plaidUrl: baseUrl, clientId, secret }) =>
    createPlaidClient({ baseUrl, clientId, secret, timeoutMs: 10_000, clock });
  const intake = world.use(openIntake({ database, vault, queueMax: 1000, logger }));
  return {
    config: { publicUrl: undefined, host: "127.0.0.1", port: 0, trustedProxies: [], allowedSources: [], ...config },
    door: openDoor(),
    dataDir: dataDir ?? join(tmpdir(), "tartan-without-data-directory", randomUUID()),
    roles: roles ?? { receiver: true, api: true, sync: true },
    database,
    vault,
    directory: world.use(await openDirectory({ database, vault, logger, clock })),
    intake,
    logins: openLogins({ database, intake }),
    records: openRecords(database),
    refusals: world.use(openRefusals({ database, logger, clock })),
    keys: openVerificationKeys({ table: keyTable(database), clientFor, clock, logger, fetchesPerMinute: 60 }),
    clientFor,
    urls: urls ?? { allowHttp: true, checkUrl: guard.check },
    guard,
    transforms: world.use(openTransforms({})),
    clock,
    logger,
  };
}

export function callerOf(url: string): Call {
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
