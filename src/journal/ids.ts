/** The ids of webhooks, where relay/ looks for them. */
export { fromWebhookId, newUuid as newWebhookUuid, toWebhookId } from "../model/ids.ts";
