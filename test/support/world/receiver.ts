/** The receiver over real HTTP. Its integration's Plaid is a key server, which vouches for the key that a test signs with. */
import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import type { Database } from "../../../src/database/types.ts";
import { openDirectory } from "../../../src/integrations/directory.ts";
import { createIntegration } from "../../../src/integrations/integrations.ts";
import type { Vault } from "../../../src/integrations/vault.ts";
import { openIntake } from "../../../src/journal/intake.ts";
import type { QuarantineBounds } from "../../../src/journal/quarantine-bounds.ts";
import { listWebhooks } from "../../../src/journal/records.ts";
import { listUnproven, type UnprovenRecord } from "../../../src/journal/quarantine.ts";
import { listRefusals, openRefusals, type RefusalRecord, type Refusals } from "../../../src/journal/refusals.ts";
import { openLogins } from "../../../src/listeners/logins.ts";
import { silentLogger, type Logger } from "../../../src/logger.ts";
import type { Intake } from "../../../src/model/intake.ts";
import { startProver } from "../../../src/quarantine/prover.ts";
import type { WebhookRecord } from "../../../src/model/records.ts";
import { receiverRoutes } from "../../../src/receiver/route.ts";
import { openVerifier, type TestClock } from "../../plaid/support.ts";
import {
  newSigningKey,
  signJwt,
  startKeyServer,
  type JwtParts,
  type KeyServer,
  type SigningKey,
} from "../plaid-signer.ts";
import type { Base } from "./base.ts";

export interface ReceiverAnswer {
  status: number;
  retryAfter: string | null;
  body: {
    ok?: boolean;
    webhook_id?: string;
    duplicate?: boolean;
    error?: { code: string; message: string; fields?: Record<string, string> };
  };
}

interface ReceiverOptions {
  allowedSources?: string[];
  trustProxy?: boolean;
  fetchesPerMinute?: number;
  /** the clock moves only when the test moves it, and refusals are written only when the test reads them */
  still?: boolean;
  logger?: Logger;
  /** keeps webhooks unproven within these bounds, and proves them; absent: they are refused */
  quarantine?: Partial<QuarantineBounds>;
  /** in place of the Intake over Postgres */
  intake?: (database: Database, vault: Vault) => Intake & AsyncDisposable;
}

export interface ReceiverPart extends Posts {
  url: string;
  /** the integration's own path */
  path: string;
  integrationId: string;
  secret: string;
  server: KeyServer;
  key: SigningKey;
  clock: TestClock;
  /** makes another integration of the same Plaid, and returns its path */
  integrate(): Promise<string>;
  webhooks(): Promise<WebhookRecord[]>;
  unproven(): Promise<UnprovenRecord[]>;
  refusals(): Promise<RefusalRecord[]>;
}

interface Posts {
  post(body: Buffer | string, headers?: Record<string, string>, path?: string): Promise<ReceiverAnswer>;
  /** posts as Plaid does */
  plaid(body: Buffer, parts?: JwtParts, key?: SigningKey): Promise<ReceiverAnswer>;
  /** posts as a backend does */
  backend(fields: unknown, headers?: Record<string, string>): Promise<ReceiverAnswer>;
}

const ROOMY: QuarantineBounds = { webhooks: 10_000, bytes: 16 * 1024 * 1024 };

export const receiver = {
  needs: [],
  start: async (world: Base, options: ReceiverOptions): Promise<ReceiverPart> => {
    const { database, vault } = world;
    const key = newSigningKey();
    const server = world.use(await startKeyServer(key));
    const { fetchesPerMinute = 60, still = false } = options;
    const { keys, clock } = openVerifier(server.url, { database, fetchesPerMinute, still });
    world.use(keys);
    const integrate = () =>
      createIntegration(database, vault, {
        client_id: "client-1",
        secret: "plaid-secret",
        environment: "sandbox",
        plaid_url: server.url,
      });
    const { id, webhook_secret: secret } = await integrate();
    const writing = still ? { writeEveryMs: 3_600_000 } : {};
    const refusals = world.use(openRefusals({ database, logger: silentLogger, clock, ...writing }));
    const url = await listening(world, options, { keys, clock, refusals });
    const path = `/v1/integrations/${id}`;
    return {
      url,
      path,
      integrationId: id,
      secret,
      server,
      key,
      clock,
      integrate: async () => `/v1/integrations/${(await integrate()).id}`,
      ...postsTo(url, { path, secret, key, clock }),
      webhooks: async () => (await listWebhooks(database, { limit: 500 })).data,
      unproven: async () => (await listUnproven(database, { limit: 500 })).data,
      refusals: async () => {
        await refusals.flush();
        return (await listRefusals(database, { limit: 500 })).data;
      },
    };
  },
} as const;

type Opened = Pick<ReturnType<typeof openVerifier>, "keys" | "clock"> & { refusals: Refusals };

/** @returns the URL without a path */
async function listening(world: Base, options: ReceiverOptions, { keys, clock, refusals }: Opened): Promise<string> {
  const { database, vault } = world;
  const directory = world.use(await openDirectory({ database, vault, logger: silentLogger, clock }));
  const quarantine = options.quarantine ? { ...ROOMY, ...options.quarantine } : null;
  const openOne =
    options.intake ?? (() => openIntake({ database, vault, queueMax: 5000, quarantine, logger: silentLogger }));
  if (quarantine) world.use(await startProver({ database, directory, keys, clock, logger: silentLogger }));
  const intake = world.use(openOne(database, vault));
  const app = Fastify({ trustProxy: options.trustProxy ?? false });
  const deps = { directory, keys, refusals, clock, intake, logins: openLogins({ database, intake }) };
  world.use({ [Symbol.asyncDispose]: () => app.close() });
  const { logger = silentLogger, allowedSources = [] } = options;
  await app.register(receiverRoutes, { ...deps, logger, allowedSources });
  await app.listen({ port: 0, host: "127.0.0.1" });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

function postsTo(
  url: string,
  { path, secret, key, clock }: Pick<ReceiverPart, "path" | "secret" | "key" | "clock">,
): Posts {
  const post: Posts["post"] = async (body, headers = {}, at = path) => {
    const response = await fetch(url + at, { method: "POST", body, headers });
    const text = await response.text();
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body: JSON.parse(text || "{}") };
  };
  return {
    post,
    plaid: (body, parts = {}, signer = key) => {
      const claims = { iat: Math.floor(clock.now() / 1000), ...parts.claims };
      return post(body, { "Plaid-Verification": signJwt(signer, body, { ...parts, claims }) });
    },
    backend: (fields, headers) =>
      post(typeof fields === "string" ? fields : JSON.stringify(fields), headers ?? { "Whdb-Webhook-Secret": secret }),
  };
}
