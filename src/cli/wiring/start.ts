/**
 * Starts a server, also while Postgres is away:
 *
 *   base ─▶ a receiver that kept its integrations: the door opens, webhooks are accepted, everything else is 503
 *        ─▶ Postgres is reached (tried for ever behind an open door, for a minute without), migrated
 *        ─▶ all roles start ─▶ the handler behind the door is exchanged for that of the whole server
 *
 * A first start has no caches, so it waits and fails as any other program does. `tartan up` runs it, once. `tartan demo`
 * opens a core and serves on it, without a door that opens early.
 */
import { createOutageServer } from "../../api/server.ts";
import { systemClock } from "../../clock.ts";
import { openBase, type Base } from "./base.ts";
import { openCaches } from "./caches.ts";
import { Closer } from "./closer.ts";
import { connect, type Core } from "./core.ts";
import { retryStart } from "./retry-start.ts";
import { openReceiving, type Receiving } from "./receiving.ts";
import { announce } from "./server-addresses.ts";
import { rolesOf, serve, type Role, type RunningProcess } from "./serve.ts";
import { stopSignal } from "./signals.ts";

export interface Started extends AsyncDisposable {
  core: Core;
  running: RunningProcess;
}

/**
 * Starts the roles; disposing it stops them.
 * @throws TartanError as `openCore` does, and Stopped when the process is asked to stop meanwhile
 */
export async function start(given: NodeJS.ProcessEnv, roles: readonly Role[]): Promise<Started> {
  const base = await openBase(given);
  try {
    const receiving = roles.includes("receiver") ? await openEarly(base, roles) : undefined;
    const core = await connect(base, { open: receiving !== undefined });
    // What was deleted while Postgres was away is not found any more; lookups and the next reload do the same later.
    await receiving?.directory.reload().catch(() => undefined);
    const running = receiving === undefined ? await serve(core, roles) : await serveBehind(receiving, { core, roles });
    return { core, running, [Symbol.asyncDispose]: () => base[Symbol.asyncDispose]() };
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Starts the roles behind an open door. Postgres may go away again meanwhile: what had started is closed then, webhooks are accepted
 * as before, and it is tried again.
 */
async function serveBehind(
  receiving: Receiving,
  { core, roles }: { core: Core; roles: readonly Role[] },
): Promise<RunningProcess> {
  const { logger, closer } = core;
  const attempt = async (): Promise<RunningProcess> => {
    const own = new Closer();
    try {
      const running = await serve({ ...core, closer: own }, roles, receiving);
      closer.use(own);
      return running;
    } catch (error) {
      await own[Symbol.asyncDispose]();
      throw error;
    }
  };
  return await retryStart(attempt, { logger, signal: stopSignal(), open: true });
}

/** Opens the door before Postgres is reached; undefined where nothing was kept that webhooks could be proven with. */
async function openEarly(base: Base, roles: readonly Role[]): Promise<Receiving | undefined> {
  const { config, logger, late: database } = base;
  const parts = { ...base, database };
  const caches = openCaches(parts);
  if ((await caches.integrations.read()) === null) return undefined;
  const receiving = await openReceiving(parts, caches);
  const { door } = receiving;
  await door.serve(
    await createOutageServer({ ...receiving, config, roles: rolesOf(roles), database, clock: systemClock, logger }),
  );
  const url = await door.listen(config);
  await announce(base, { url, roles });
  logger.info({ url }, "webhooks are accepted while Postgres is being reached");
  return receiving;
}
