/** What the tests of faults/ share: a relay in a process of its own, which can be killed, stopped and cut off. */
import type { TartanProcess } from "../support/process.ts";
import type { World } from "../support/world/index.ts";

export const startRelayProcess = (
  world: World<"processes">,
  env: Record<string, string> = {},
): Promise<TartanProcess> =>
  world.processes.start(["up", "--only", "relay"], {
    TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1",
    TARTAN_RELAY_ALLOW_HTTP: "true",
    TARTAN_RELAY_POLL_MS: "50",
    ...env,
  });
