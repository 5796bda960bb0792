/** POST /sandbox/user/reset_login: Items of a user need their user to log in again; all of them, or those that are named. */
import { z } from "zod";
import { breakItem } from "../health.ts";
import { invalidField } from "../plaid-error.ts";
import { userEndpoint } from "./users.ts";

export const sandboxUserResetLogin = userEndpoint(
  "/sandbox/user/reset_login",
  { item_ids: z.array(z.string()).nullish() },
  ({ id, clientId, state }, { item_ids }, { sim }) => {
    const linked = [...sim.world.items.values()].filter(
      (item) => item.userId === id && item.clientId === clientId && !item.removed && !item.revoked,
    );
    const reported = state.items.map(({ item }) => item);
    const all = new Set([...linked, ...reported].map(({ itemId }) => itemId));
    const requested = item_ids?.length ? new Set(item_ids) : all;
    if ([...requested].some((one) => !all.has(one))) throw invalidField("item_ids must be Items of the user");
    for (const item of linked) if (requested.has(item.itemId)) breakItem(sim, item, "ITEM_LOGIN_REQUIRED");
    for (const item of reported) if (requested.has(item.itemId)) item.broken = true;
    return {};
  },
);
