/** What changing destinations needs, for commands. */
import type { DestinationDeps } from "../../relay/destinations/destinations.ts";
import { createGuard } from "../../relay/senders/http/guard.ts";
import type { Core } from "./core.ts";

/** The configuration says which addresses are allowed. */
export function destinationDeps({ database, vault, config }: Core): DestinationDeps {
  const guard = createGuard({ allow: config.relayAllowedAddresses });
  return { database, vault, urls: { allowHttp: config.relayAllowHttp, checkUrl: (url) => guard.check(url) } };
}
