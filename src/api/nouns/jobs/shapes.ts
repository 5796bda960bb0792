/** The shapes of replays, redrives and of routing what is past: work on many deliveries, kept as a job. */
import { z } from "zod";
import { askedDelivery } from "../deliveries/shapes.ts";
import { askedDestination, destinationId } from "../destinations/shapes.ts";
import { RELAY_EXAMPLES } from "../relay-examples.ts";
import { instant, routeId } from "../routes/shapes.ts";
import {
  anyObject,
  asked,
  askedIntegration,
  askedItem,
  noTimestamp,
  orNull,
  page,
  timestamp,
  told,
} from "../../http/shapes.ts";

export const Job = z
  .object({
    id: told(z.string(), "Id of a job, `job_…`; what it sends says it in the header webhook-replay."),
    kind: told(z.enum(["redrive", "replay", "route_past"]), "What it does."),
    status: told(z.enum(["running", "paused", "cancelled", "done"]), "Cancelled, it takes back nothing it has done."),
    destination_id: orNull(destinationId),
    route_id: orNull(routeId),
    asked: anyObject("What was asked for."),
    reason: told(z.string(), "Why, as its maker said."),
    total: told(z.number().int(), "Deliveries or events that it is about, counted when it was made."),
    done: told(z.number().int(), "Those it has been through."),
    changed: told(z.number().int(), "Those of them that it scheduled; the others need or can not be."),
    created_at: timestamp("When it was asked for."),
    updated_at: timestamp("When it last went on."),
    finished_at: noTimestamp("When it was done or cancelled."),
  })
  .meta({ id: "Job", description: "Work on many deliveries.", examples: [RELAY_EXAMPLES.job] });

export const Count = z
  .object({ count: told(z.number().int(), "Deliveries or events that it would be about.") })
  .meta({ description: "How many it would be about; nothing was done.", examples: [RELAY_EXAMPLES.count] });

const reason = told(z.string().max(1000).default(""), "Why; shown with the job.");
const dryRun = told(z.boolean().default(false), "Only say how many it would be about.");
const types = told(z.array(asked(100, "An event type.")).min(1).max(100), "Event types.");

export const Redrive = z
  .strictObject({
    destination_id: askedDestination.exactOptional(),
    cause: asked(100, "Why they gave up.").exactOptional(),
    item_id: askedItem.exactOptional(),
    delivery_ids: told(z.array(askedDelivery).min(1).max(10_000), "Just these.").exactOptional(),
    state: told(
      z.enum(["dead", "failed"]),
      "`dead`, the default: those that gave up. `failed`: also those that failed and wait for their next attempt.",
    ).exactOptional(),
    from: instant("Those that last failed from then on.").exactOptional(),
    to: instant("Those that last failed before then.").exactOptional(),
    reason,
    dry_run: dryRun,
  })
  .meta({ examples: [RELAY_EXAMPLES.redrive] });

export const Replay = z
  .strictObject({
    destination_id: askedDestination,
    event_id: asked(100, "Just this event.").exactOptional(),
    item_id: askedItem.exactOptional(),
    integration_id: askedIntegration.exactOptional(),
    types: types.exactOptional(),
    from: instant("Events from then on.").exactOptional(),
    to: instant("Events before then.").exactOptional(),
    reason,
    dry_run: dryRun,
  })
  .meta({ examples: [RELAY_EXAMPLES.replay] });

export const RoutePast = z
  .strictObject({
    from: instant("Events from then on."),
    to: instant("Events before then; until now when absent.").exactOptional(),
    reason,
    dry_run: dryRun,
  })
  .meta({ examples: [RELAY_EXAMPLES.routePast] });

export const DeliveryReplay = z.strictObject({ reason }).meta({ examples: [{ reason: "the ledger lost it" }] });

export const JobParams = z.object({ id: asked(100, "Id of a job, `job_…`.") });
export const JobsQuery = z.strictObject({
  status: told(z.enum(["running", "paused", "cancelled", "done"]), "How it stands.").exactOptional(),
  destination_id: askedDestination.exactOptional(),
  ...page,
});
