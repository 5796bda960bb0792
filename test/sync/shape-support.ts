/**
 * Readings of resources that only a test declares: an HTTP server that answers as Plaid would, and real tables that the answers are
 * applied to.
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../src/clock.ts";
import { applyReading } from "../../src/mirror/apply.ts";
import { dropStaged } from "../../src/mirror/stage.ts";
import type { Changes, Scope } from "../../src/mirror/types.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { ITEM } from "../../src/resources/subjects.ts";
import type { Resource, SubjectKind } from "../../src/resources/types.ts";
import type { Reader } from "../../src/sync/ask.ts";
import { createLimiter } from "../../src/sync/limiter.ts";
import { readResource } from "../../src/sync/read.ts";
import type { Outcome } from "../../src/sync/types.ts";
import type { World } from "../support/world/index.ts";

export type Body = Record<string, unknown>;
/** what Plaid answers, or how it refuses */
type Answer = Body | { status: number; error: Body };

export interface Plaid {
  /** what is answered to a path and a body */
  answer: (path: string, body: Body) => Answer;
  /** what was asked so far */
  asked: { path: string; body: Body }[];
  /** all that a reading needs of a run, for a new subject */
  open(subject?: SubjectKind): Promise<Reader>;
  attempt(reader: Reader, resource: Resource, cursor?: string | null, full?: boolean): Promise<Outcome>;
  /** reads and applies, as a run does */
  sync(reader: Reader, resource: Resource, cursor?: string | null, full?: boolean): Promise<Done>;
  /** the subject's rows that are not removed, in the order of the columns */
  current(reader: Reader, table: string, columns: string, subject?: string): Promise<Body[]>;
}

interface Done {
  outcome: Extract<Outcome, { read: unknown }>;
  /** by table */
  changes: Record<string, Changes>;
}

export const NOW = Date.parse("2026-03-07T12:00:00Z");
/** Pauses between restarts take no time. */
const clock: Clock = { now: () => NOW, sleep: () => Promise.resolve() };

const COMMON =
  "raw jsonb not null, added_at timestamptz default now(), changed_at timestamptz default now(), removed_at timestamptz";

/** @param tables made in the world: name → its columns and primary key behind integration_id */
export async function openPlaid(world: World, tables: Readonly<Record<string, string>>): Promise<Plaid> {
  const { database } = world;
  for (const [name, columns] of Object.entries(tables))
    await database.query(`create table plaid.${name} (integration_id text, ${COMMON}, ${columns})`);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Body;
      plaid.asked.push({ path, body });
      const answered = plaid.answer(path, body);
      const { status } = answered;
      response.statusCode = typeof status === "number" ? status : 200;
      response.end(JSON.stringify(typeof status === "number" ? answered["error"] : answered));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  world.use({ [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())) });
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = createPlaidClient({ baseUrl, clientId: "client", secret: "secret", timeoutMs: 10_000, clock });

  const plaid: Plaid = {
    answer: () => ({}),
    asked: [],
    open: async (subject = ITEM) => {
      const scope = newScope(subject);
      await database.query(
        "insert into sync.subjects (integration_id, kind, id, lease_token, due_at) values ($1, $2, $3, $4, now())",
        [scope.integrationId, scope.kind, scope.subjectId, scope.leaseToken],
      );
      return {
        database,
        clock,
        limiter: createLimiter(database, clock, 100_000),
        client,
        signal: new AbortController().signal,
        scope,
        environment: "sandbox",
        asker: {
          subjectId: scope.subjectId,
          countryCodes: ["US"],
          daysRequested: null,
          includeOriginalDescription: false,
          permissiblePurpose: null,
        },
        credentials: subject.access.by === "access_token" ? { access_token: "access-token" } : {},
        itemId: subject.access.by === "access_token" ? scope.subjectId : null,
        namedAt: subject.access.by === "access_token" ? "item.item_id" : null,
        unconfirmed: null,
        institutionId: null,
      };
    },
    attempt: (reader, resource, cursor = null, full = false) =>
      readResource(reader, { resource, full, explicit: true }, cursor),
    sync: async (reader, resource, cursor = null, full = false) => {
      const outcome = await plaid.attempt(reader, resource, cursor, full);
      if (!("read" in outcome)) throw new Error(JSON.stringify(outcome));
      const applied = await database.transaction((tx) => applyReading(tx, reader.scope, outcome.read));
      await dropStaged(database, reader.scope.leaseToken);
      return { outcome, changes: Object.fromEntries([...applied].map(([name, { changes }]) => [name, changes])) };
    },
    current: async ({ scope }, table, columns, subject = "item_id") => {
      const order = columns.split(",").map((_, index) => index + 1);
      const text = `select ${columns} from plaid.${table} where ${subject} = $1 and removed_at is null order by ${order.join()}`;
      return (await database.query<Body>(text, [scope.subjectId])).rows;
    },
  };
  return plaid;
}

const newScope = ({ kind }: SubjectKind): Scope => ({
  integrationId: "svi_test",
  kind,
  subjectId: randomUUID(),
  leaseToken: randomUUID(),
  facts: { user_id: null },
});
