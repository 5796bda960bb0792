/** The intake over real HTTP, with a key server in Plaid's place and a database of its own. */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { Closer } from "../../src/cli/closer.ts";
import { silentLogger as logger, type Logger } from "../../src/logger.ts";
import type { Database } from "../../src/database/types.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { openIntake } from "../../src/journal/intake.ts";
import type { Intake } from "../../src/model/intake.ts";
import { listWebhooks, type WebhookRecord } from "../../src/journal/records.ts";
import { listRefusals, openRefusals, type RefusalRecord } from "../../src/journal/refusals.ts";
import { changesMirror } from "../../src/resources/index.ts";
import { receiverRoutes } from "../../src/receiver/route.ts";
import { testDatabase } from "../support/database.ts";
import {
  newSigningKey,
  signJwt,
  startKeyServer,
  type JwtParts,
  type KeyServer,
  type SigningKey,
} from "../support/plaid-signer.ts";
import { openVerifier, type TestClock } from "../plaid/support.ts";

export interface Answer {
  status: number;
  retryAfter: string | null;
  body: {
    ok?: boolean;
    webhook_id?: string;
    duplicate?: boolean;
    error?: { code: string; message: string; fields?: Record<string, string> };
  };
}

export interface Intake extends AsyncDisposable {
  url: string;
  /** the integration's own path */
  path: string;
  integrationId: string;
  secret: string;
  database: Database;
  server: KeyServer;
  key: SigningKey;
  clock: TestClock;
  /** makes another integration of the same Plaid, and tells its path */
  integrate(): Promise<string>;
  post(body: Buffer | string, headers?: Record<string, string>, path?: string): Promise<Answer>;
  /** posts as Plaid does */
  plaid(body: Buffer, parts?: JwtParts, key?: SigningKey): Promise<Answer>;
  /** posts as a backend does */
  backend(fields: unknown, headers?: Record<string, string>): Promise<Answer>;
  webhooks(): Promise<WebhookRecord[]>;
  refusals(): Promise<RefusalRecord[]>;
}

interface IntakeOptions {
  allowedSources?: string[];
  trustProxy?: boolean;
  fetchesPerMinute?: number;
  logger?: Logger;
  /** in place of the group commit */
  accept?: (database: Database) => Accept;
}

export async function startIntake(options: IntakeOptions = {}): Promise<Intake> {
  const closer = new Closer();
  const db = closer.use(await testDatabase());
  const { database } = db;
  const key = newSigningKey();
  const server = closer.use(await startKeyServer(key));
  const vault = openVault([randomBytes(32).toString("base64")]);
  const fetchesPerMinute = options.fetchesPerMinute ?? 60;
  const { keys, clock } = openVerifier(server.url, { database, fetchesPerMinute });
  closer.use(keys);
  const directory = closer.use(await openDirectory({ database, vault, logger, clock }));
  const integrate = () =>
    createIntegration(database, vault, {
      client_id: "client-1",
      secret: "plaid-secret",
      environment: "sandbox",
      plaid_url: server.url,
    });
  const { id, webhook_secret: secret } = await integrate();
  const accept = closer.use(options.accept?.(database) ?? openAccept({ database, queueMax: 5000, logger }));
  const refusals = closer.use(openRefusals({ database, logger, clock }));
  const app = Fastify({ trustProxy: options.trustProxy ?? false });
  closer.defer(() => app.close());
  await app.register(receiverRoutes, {
    database,
    vault,
    directory,
    keys,
    accept,
    refusals,
    clock,
    logger: options.logger ?? logger,
    touches: changesMirror,
    allowedSources: options.allowedSources ?? [],
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const path = `/v1/integrations/${id}`;
  const post: Intake["post"] = async (body, headers = {}, at = path) => {
    const response = await fetch(url + at, { method: "POST", body, headers });
    const text = await response.text();
    return { status: response.status, retryAfter: response.headers.get("retry-after"), body: JSON.parse(text || "{}") };
  };
  return {
    url,
    path,
    integrationId: id,
    secret,
    database,
    server,
    key,
    clock,
    integrate: async () => `/v1/integrations/${(await integrate()).id}`,
    post,
    plaid: (body, parts = {}, signer = key) => {
      const claims = { iat: Math.floor(clock.now() / 1000), ...parts.claims };
      return post(body, { "Plaid-Verification": signJwt(signer, body, { ...parts, claims }) });
    },
    backend: (fields, headers) =>
      post(typeof fields === "string" ? fields : JSON.stringify(fields), headers ?? { "Whdb-Webhook-Secret": secret }),
    webhooks: async () => (await listWebhooks(database, { limit: 500 })).data,
    refusals: async () => {
      await refusals.flush();
      return (await listRefusals(database, { limit: 500 })).data;
    },
    [Symbol.asyncDispose]: () => closer[Symbol.asyncDispose](),
  };
}

export interface SubjectState {
  kind: string;
  id: string;
  due_at: Date | null;
  generation: number;
  wanted: string[];
}

export async function subjects(database: Database): Promise<SubjectState[]> {
  const { rows } = await database.query<SubjectState>(
    "select kind, id, due_at, generation, wanted from sync.subjects order by kind, id",
  );
  return rows;
}
