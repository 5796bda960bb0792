/** The intake over real HTTP, with a key server in Plaid's place and a database of its own. */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { Closer } from "../../src/cli/wiring/closer.ts";
import { silentLogger as logger, type Logger } from "../../src/logger.ts";
import type { Database } from "../../src/database/types.ts";
import { openDirectory } from "../../src/integrations/directory.ts";
import { createIntegration } from "../../src/integrations/integrations.ts";
import { openVault, type Vault } from "../../src/integrations/vault.ts";
import { openIntake } from "../../src/journal/intake.ts";
import type { Intake as IntakePort } from "../../src/model/intake.ts";
import { listWebhooks } from "../../src/journal/records.ts";
import type { WebhookRecord } from "../../src/model/records.ts";
import { listRefusals, openRefusals, type RefusalRecord } from "../../src/journal/refusals.ts";
import { receiverRoutes } from "../../src/receiver/route.ts";
import { testDatabase } from "../support/database.ts";
import { markAll } from "../support/mark.ts";
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
  /** makes another integration of the same Plaid, and returns its path */
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
  /** in place of the Intake over Postgres */
  intake?: (database: Database, vault: Vault) => IntakePort & AsyncDisposable;
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
  const port = closer.use(options.intake?.(database, vault) ?? openIntake({ database, vault, queueMax: 5000, logger }));
  const refusals = closer.use(openRefusals({ database, logger, clock }));
  const app = Fastify({ trustProxy: options.trustProxy ?? false });
  closer.defer(() => app.close());
  await app.register(receiverRoutes, {
    directory,
    keys,
    intake: port,
    refusals,
    clock,
    logger: options.logger ?? logger,
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
  requested: string[];
}

/**
 * The subjects that sync makes due of what was accepted, as if all items were linked. What is requested stands in the subject's row
 * or in that of a webhook that waits.
 */
export async function subjects(database: Database): Promise<SubjectState[]> {
  await database.query(`
    insert into tartan.items (integration_id, item_id, access_token_sealed)
    select distinct integration_id, item_id, '\\x00'::bytea from (
      select integration_id, item_id from journal.webhooks where item_id is not null
      union all
      select n ->> 'integration_id', n ->> 'id'
      from events.sync_outbox cross join lateral jsonb_array_elements(notices) as n where n ->> 'kind' = 'item'
    ) named
    on conflict do nothing`);
  await markAll(database);
  const { rows } = await database.query<SubjectState>(`
    select s.kind, s.id, s.due_at, s.generation, array(
      select unnest(s.requested)
      union
      select unnest(w.requested) from journal.webhooks w
      where w.subject_kind = s.kind and w.subject_id = s.id and w.processed_at is null
      order by 1) as requested
    from sync.subjects s order by kind, id`);
  return rows;
}
