/** The schemas of the `data` of events about the webhooks of a whole integration. */
import { z } from "zod";
import { described, noTimestamp, timestamp } from "../../../model/schema.ts";

const count = (description: string) => described(z.number().int(), description);
const text = (description: string) => described(z.string(), description);
const noText = (description: string) => described(z.string().nullable(), description);

export const webhooksStopped = z.looseObject({
  silent_since: timestamp("When the last webhook of Plaid came."),
  usual_pause_s: described(
    z.number().int().nullable(),
    "Seconds of the longest pause between webhooks in the two weeks before; null where there were too few.",
  ),
  missed: count("Webhooks that Plaid says it has sent since and that did not arrive; counted up to a hundred."),
  cause: text(
    "`plaid_down`, `credentials_refused`, `no_receiver`, `refused`, `failing`, `url_elsewhere`, `none_sent` or `unknown`.",
  ),
  message: text("Why, in plain words."),
  next_step: text("What to do about it."),
});

export const webhooksResumed = z.looseObject({
  stopped_at: noTimestamp("When the alarm was raised."),
  silent_since: noTimestamp("When the last webhook before the silence came."),
  resumed_at: noTimestamp("When the first webhook after it came."),
  webhook_id: noText("That webhook, `whk_…`."),
});

export const webhooksExpired = z.looseObject({
  webhooks: count("How many."),
  first_received_at: timestamp("When the first of them came."),
  last_received_at: timestamp("When the last of them came."),
  cause: noText("Why their keys could not be fetched."),
  next_step: text("What to do about it."),
});
