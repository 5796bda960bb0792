import { fileURLToPath } from "node:url";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { integrate } from "../integrations/support.ts";
import { maintain } from "../support/database.ts";
import { startWorld } from "../support/world/index.ts";
import { intakeConformance, type IntakeEngine, type Stored } from "./intake-conformance.ts";

const CHILD = fileURLToPath(new URL("intake-child.ts", import.meta.url));

async function openPostgres(): Promise<IntakeEngine> {
  const world = await startWorld();
  const { database, databaseUrl: url, vault } = world;
  const integrationId = await integrate(world);
  const name = new URL(url).pathname.slice(1);
  const tables = ["journal.webhooks", "events.events", "events.outbox", "events.sync_outbox", "tartan.items"];
  return {
    integrationId,
    open: ({ queueMax = 5000 } = {}) => openIntake({ database, vault, queueMax, logger }),
    stored: async () =>
      (await database.query<Stored>('select id, item_id as "itemId", body from journal.webhooks order by id')).rows,
    notices: async () => {
      const { rows } = await database.query<{ n: number }>(
        "select coalesce(sum(jsonb_array_length(notices)), 0)::int as n from events.sync_outbox",
      );
      return rows[0]?.n ?? 0;
    },
    dump: async () => {
      const dumps = tables.map((table) =>
        database.query<{ row: Buffer }>(`select convert_to(t::text, 'UTF8') as row from ${table} t`),
      );
      const columns = await database.query<{ bytes: Buffer }>(
        "select body as bytes from journal.webhooks union all select payload from events.events union all select access_token_sealed from tartan.items",
      );
      const texts = (await Promise.all(dumps)).flatMap(({ rows }) => rows.map(({ row }) => row.toString()));
      return [...texts, ...columns.rows.map(({ bytes }) => bytes.toString("latin1"))].join("\n");
    },
    frozen: (work) =>
      database.transaction(async (tx) => {
        await tx.query("lock table journal.webhooks in access exclusive mode");
        await work();
      }),
    away: async (work) => {
      await maintain(
        `alter database ${name} allow_connections false`,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      );
      try {
        await work();
      } finally {
        await maintain(`alter database ${name} allow_connections true`);
      }
    },
    child: { script: CHILD, env: { INTAKE_DATABASE_URL: url } },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

intakeConformance("Postgres", openPostgres);
