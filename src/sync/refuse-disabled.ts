/** Refuses requests for resources that Plaid bills by request and that the integration does not enable. */
import type { Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { enabledOf } from "../integrations/reveals.ts";
import { requestable } from "./plan.ts";
import { resourcesOf } from "../resources/index.ts";

/** @throws TartanError `not_enabled` naming the resource and the setting */
export async function refuseDisabled(
  q: Queryable,
  integrationIds: readonly string[],
  kind: string,
  requested: readonly string[] = [],
): Promise<void> {
  const billed = resourcesOf(kind).filter((each) => each.billed !== undefined && requested.includes(each.name));
  if (billed.length === 0) return;
  for (const id of integrationIds) {
    const enabled = requestable(kind, await enabledOf(q, id));
    const refused = billed.find((each) => !enabled.includes(each));
    if (refused) throw notEnabled(refused.name, id);
  }
}

const notEnabled = (name: string, integrationId: string): TartanError =>
  new TartanError(
    "not_enabled",
    `Plaid bills each request for ${name}, and integration ${integrationId} does not enable it. Add ${name} to its ` +
      "enabled_resources, or use `npx tartan integrations update --enable`.",
    { fields: { resources: `names ${name}, which the integration does not enable` } },
  );
