/** What all operations of the API share: their dependencies, and how the reference describes one. */
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { z } from "zod";
import type { Clock } from "../../clock.ts";
import type { Database } from "../../database/types.ts";
import type { Vault } from "../../integrations/vault.ts";
import type { Logger } from "../../logger.ts";
import type { Intake } from "../../model/intake.ts";
import type { Directory, KnownIntegration } from "../../model/integration.ts";
import type { Records } from "../../model/records.ts";
import type { PlaidClient } from "../../plaid/client.ts";
import type { UrlRules } from "../../relay/destinations/destinations.ts";
import type { Guard } from "../../relay/senders/http/guard.ts";
import type { Transforms } from "../../relay/content/transform.ts";
import { Failure } from "./shapes.ts";

export interface ApiDeps {
  /** the roles of this process */
  roles: { receiver: boolean; api: boolean; sync?: boolean; relay?: boolean };
  database: Database;
  vault: Vault;
  directory: Directory;
  /** stores linked items */
  intake: Pick<Intake, "accept">;
  /** the accepted webhooks */
  records: Records;
  clock: Clock;
  logger: Logger;
  /** a client of Plaid with an integration's credentials */
  clientFor(integration: KnownIntegration): PlaidClient;
  /** this installation's share of Plaid's rate limits; absent: all of them */
  limitFactor?: number;
  /** the URLs that destinations may have */
  urls: UrlRules;
  /** refuses connections to addresses that Tartan may not send to */
  guard: Guard;
  /** runs a route's transform for a preview */
  transforms: Transforms;
  /** the data directory, which keeps a token that is rotated until it has committed */
  dataDir: string;
  /** the start of the intake URLs; a function, since port 0 is known only once the server listens */
  publicUrl(): string;
}

/** The instance within which shapes check requests and cut answers. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

type Tag =
  | "Integrations"
  | "Items"
  | "Link"
  | "Subjects"
  | "Journal"
  | "Listeners"
  | "Audit log"
  | "Events"
  | "Destinations"
  | "Routes"
  | "Deliveries"
  | "Jobs"
  | "Operation";

interface Description {
  operationId: string;
  summary: string;
  description: string;
}

/** The description of an operation that requires an API key. */
export const about = (tag: Tag, description: Description) => ({
  tags: [tag],
  security: [{ apiKey: [] as string[] }],
  ...description,
});

/** An answer that is not JSON: text or bytes, without a schema. */
export const inPlain = <T extends z.ZodType>(mediaType: string, schema: T) => ({
  description: schema.description ?? "",
  content: { [mediaType]: { schema } },
});

/** The description of an operation without an API key. */
export const openly = (description: Description) => ({ tags: ["Operation"], ...description });

const EVERYWHERE = { 400: Failure, 401: Failure, 503: Failure };

/** The refusals of an operation: its own and those of all operations. */
export function refusals<Status extends 404 | 409 | 410 | 422 | 502 = never>(
  ...own: Status[]
): typeof EVERYWHERE & Record<Status, typeof Failure> {
  return Object.assign(
    { ...EVERYWHERE },
    Object.fromEntries(own.map((status) => [status, Failure])),
  ) as typeof EVERYWHERE & Record<Status, typeof Failure>;
}
