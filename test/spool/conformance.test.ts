/** The spool keeps the promises of the port: over a Postgres that is there, and while it is away. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/clock.ts";
import { openIntake } from "../../src/journal/intake.ts";
import { checkLinked } from "../../src/journal/link.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { TartanError } from "../../src/errors.ts";
import type { Intake, Restoring } from "../../src/model/intake.ts";
import { createFile, type CreateFile, type SegmentFile } from "../../src/spool/segment.ts";
import { openSpool } from "../../src/spool/spool.ts";
import { intakeConformance, type IntakeEngine, type Stored } from "../journal/intake-conformance.ts";
import { maintain } from "../support/database.ts";
import { until } from "../support/until.ts";
import { INTEGRATION } from "../support/webhook.ts";
import { startWorld } from "../support/world/index.ts";
import { spoolRoot } from "./support.ts";

const CHILD = fileURLToPath(new URL("spool-child.ts", import.meta.url));

type Spool = Awaited<ReturnType<typeof openSpool>>;

/** A disk that a test lets fail or hang. */
function disk() {
  const state = { fails: false, hangs: Promise.resolve() };
  const create: CreateFile = async (path) => {
    if (state.fails) throw Object.assign(new Error("EIO: injected"), { code: "EIO" });
    const file = await createFile(path);
    return {
      write: file.write.bind(file) as SegmentFile["write"],
      read: file.read.bind(file) as SegmentFile["read"],
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
      datasync: async () => {
        await state.hangs;
        if (state.fails) throw Object.assign(new Error("EIO: injected"), { code: "EIO" });
        await file.datasync();
      },
    };
  };
  return { state, create };
}

/** An engine that a test cuts off from its store. */
function severed(inner: Intake & Restoring, isAway: () => boolean): Intake & Restoring {
  const away = () => new TartanError("database_unavailable", "away", { retryAfterSeconds: 5 });
  return {
    accept: ((arrival: never) => (isAway() ? Promise.reject(away()) : inner.accept(arrival))) as Intake["accept"],
    restore: (arrivals) => (isAway() ? Promise.reject(away()) : inner.restore(arrivals)),
    problem: () => (isAway() ? "away" : inner.problem()),
  };
}

async function openEngine({ deferred }: { deferred: boolean }): Promise<IntakeEngine> {
  const world = await startWorld();
  const root = world.use(await spoolRoot());
  const { database, vault, databaseUrl: url } = world;
  await database.query(
    `insert into tartan.integrations (id, service, name, environment, plaid_url, client_id)
     values ($1, 'plaid_item_v1', 'test', 'sandbox', 'http://127.0.0.1:1', 'client')`,
    [INTEGRATION],
  );
  const name = new URL(url).pathname.slice(1);
  const { state, create } = disk();
  const opened = new Set<Spool>();
  let isAway = deferred;
  const openOne = async (queueMax: number): Promise<Spool> => {
    const inner = severed(world.use(openIntake({ database, vault, queueMax, logger })), () => isAway);
    const spool = await openSpool({
      inner,
      root: root.path,
      maxBytes: 256 * 1024 * 1024,
      queueMax,
      vault,
      check: checkLinked,
      refusals: { record: () => undefined },
      clock: systemClock,
      logger,
      create,
    });
    opened.add(spool);
    return spool;
  };
  /** Everything that was accepted is in the store. */
  const settled = async (): Promise<void> => {
    isAway = false;
    await using _ = await openOne(1000);
    await until("the spools are drained", () => [...opened].every((spool) => spool.status().waiting === 0));
    isAway = deferred;
  };
  return {
    ...(deferred && { deferred }),
    integrationId: INTEGRATION,
    open: ({ queueMax = 5000 } = {}) => openOne(queueMax),
    stored: async () => {
      await settled();
      return (await database.query<Stored>('select id, item_id as "itemId", body from journal.webhooks order by id'))
        .rows;
    },
    notices: async () => {
      await settled();
      const { rows } = await database.query<{ n: number }>(
        "select coalesce(sum(jsonb_array_length(notices)), 0)::int as n from events.sync_outbox",
      );
      return rows[0]?.n ?? 0;
    },
    dump: async () => {
      const files = await Promise.all((await root.files(/./)).map((file) => readFile(file, "latin1")));
      const { rows } = await database.query<{ bytes: Buffer }>("select body as bytes from journal.webhooks");
      return [...files, ...rows.map(({ bytes }) => bytes.toString("latin1"))].join("\n");
    },
    frozen: async (work) => {
      let thaw = (): void => undefined;
      state.hangs = new Promise((resolve) => (thaw = resolve));
      const freeze = database.transaction(async (tx) => {
        await tx.query("lock table journal.webhooks in access exclusive mode");
        await work();
      });
      await freeze.finally(thaw);
    },
    away: async (work) => {
      state.fails = true;
      await maintain(
        `alter database ${name} allow_connections false`,
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
      );
      try {
        await work();
      } finally {
        state.fails = false;
        await maintain(`alter database ${name} allow_connections true`);
        // The disk is left alone for a second after a failure.
        await until("the disk is tried again", () => [...opened].every((spool) => spool.problem() === null));
      }
    },
    child: {
      script: CHILD,
      env: {
        SPOOL_ROOT: root.path,
        SPOOL_IDS_ONLY: "1",
        ...(!deferred && { SPOOL_DATABASE_URL: url, SPOOL_VAULT: world.masterKey }),
      },
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

intakeConformance("the spool over Postgres", () => openEngine({ deferred: false }));
intakeConformance("the spool while Postgres is away", () => openEngine({ deferred: true }));
