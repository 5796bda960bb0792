/** POST /v1/items/:item_id/rotate-token */
import { z } from "zod";
import { reason } from "../../../audit/audit.schema.ts";
import { rotateToken } from "../../../integrations/token-rotation.ts";
import { about, refusals, type Api, type ApiDeps } from "../../http/operation.ts";
import { TokenRotated } from "./shapes.ts";
import { ItemParams, whichIntegration } from "./which-item.ts";

type Find = (itemId: string, integrationId?: string) => Promise<{ integration_id: string }>;

export function rotateOperation(api: Api, deps: ApiDeps, find: Find): void {
  api.post("/v1/items/:item_id/rotate-token", { schema: ROTATE }, async ({ params, query, body, actor }) => {
    const { item_id: itemId } = params;
    const { integration_id: integrationId } = await find(itemId, query.integration_id);
    return await rotateToken(deps, { integrationId, itemId }, { actor, reason: body.reason });
  });
}

const ROTATE = {
  ...about("Items", {
    operationId: "rotateToken",
    summary: "Rotate an Item's access token",
    description:
      "Replaces the access token at Plaid (/item/access_token/invalidate) and seals the new one. The old token stops working at once, " +
      "also where your backend still uses it; nobody is shown the new one. If Plaid's answer is lost on the way, so is the Item: " +
      "the error is then `token_lost`.",
  }),
  params: ItemParams,
  querystring: z.strictObject(whichIntegration),
  body: z.strictObject({ reason }).meta({ examples: [{ reason: "The old token was in a log." }] }),
  response: { 200: TokenRotated, ...refusals(404, 409, 502) },
};
