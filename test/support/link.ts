/** Links items as the intake does, and makes them due as sync does, for tests that have neither. */
import type { Database } from "../../src/database/types.ts";
import type { Vault } from "../../src/integrations/vault.ts";
import { linkItem } from "../../src/journal/link.ts";
import { toWebhookId } from "../../src/model/ids.ts";
import type { LinkRequest } from "../../src/sync/linking.ts";
import { markAll } from "./mark.ts";

interface Linked {
  webhook_id: string;
  item_id: string;
  created: boolean;
}

export async function introduceItem(
  deps: { database: Database; vault: Vault },
  item: LinkRequest & { receivedAt?: Date; body?: Buffer },
): Promise<Linked> {
  const { id, created } = await linkItem(deps, {
    integrationId: item.integration_id,
    itemId: item.item_id,
    accessToken: item.access_token,
    userId: item.user_id,
    receivedAt: item.receivedAt,
    body: item.body,
  });
  await markAll(deps.database);
  return { webhook_id: toWebhookId(id), item_id: item.item_id, created };
}
