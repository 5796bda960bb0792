/** The events of an integration whose webhooks stop and come again. */
import type { NewEvent } from "../events/events.ts";
import { toWebhookId } from "../model/ids.ts";
import type { Reason } from "./causes.ts";

const about = (integrationId: string) => ({ integrationId, itemId: null, userId: null, environment: null });

interface Stopped extends Reason {
  silentSince: Date;
  missed: number;
  usual_pause_s: number | null;
}

export const stoppedEvent = (
  integrationId: string,
  { silentSince, cause, message, next_step, missed, usual_pause_s }: Stopped,
): NewEvent => ({
  ...about(integrationId),
  type: "integration.webhooks_stopped",
  data: { silent_since: silentSince.toISOString(), usual_pause_s, missed, cause, message, next_step },
});

interface Resumed {
  stoppedAt: Date | null;
  silentSince: Date | null;
  resumedAt: Date | null;
  /** UUID */
  webhook: string | null;
}

export const resumedEvent = (
  integrationId: string,
  { stoppedAt, silentSince, resumedAt, webhook }: Resumed,
): NewEvent => ({
  ...about(integrationId),
  type: "integration.webhooks_resumed",
  data: {
    stopped_at: stoppedAt?.toISOString() ?? null,
    silent_since: silentSince?.toISOString() ?? null,
    resumed_at: resumedAt?.toISOString() ?? null,
    webhook_id: webhook === null ? null : toWebhookId(webhook),
  },
});
