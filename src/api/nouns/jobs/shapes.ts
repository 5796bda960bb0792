/** How jobs and their members are shown. */
import { z } from "zod";
import { DESTINATION_ID, INTEGRATION_ID, ITEM_ID, JOB_ID } from "../../../model/examples.ts";
import {
  anyObject,
  described,
  destinationId,
  integrationId,
  itemId,
  noTimestamp,
  orNull,
  routeId,
  timestamp,
} from "../../../model/schema.ts";
import { JOB_STATUSES } from "../../../model/statuses.ts";
import { ALL_KINDS } from "./every-job.ts";

export const jobExample = {
  id: JOB_ID,
  kind: "redrive" as const,
  status: "running" as const,
  destination_id: DESTINATION_ID,
  route_id: null,
  asked: { destination_id: DESTINATION_ID, cause: "status_503" },
  reason: "the ledger was down on Friday",
  total: 412,
  done: 150,
  changed: 150,
  failed: 0,
  outstanding: 0,
  states: {},
  failures: [],
  per_minute: null,
  created_at: "2026-11-23T08:00:00.000Z",
  updated_at: "2026-11-23T08:00:01.300Z",
  finished_at: null,
};

const Failures = z.object({
  cause: described(z.string(), "Plaid's error code, or one of Tartan's."),
  items: described(z.number().int(), "Items that failed for it."),
  message: described(z.string(), "What is wrong."),
  next_step: described(z.string().nullable(), "What to do; null where trying again is all there is."),
});

export const Job = z
  .object({
    id: described(
      z.string(),
      "Id of a job, `job_…`; what it sends to destinations says it in the header webhook-replay.",
    ),
    kind: described(z.enum(ALL_KINDS), "What it does."),
    status: described(z.enum(JOB_STATUSES), "How it stands. What a cancelled job has done stays."),
    destination_id: orNull(destinationId),
    route_id: orNull(routeId),
    asked: anyObject(
      "What was asked for. Of more than 100 named Items it has the first 100, and in `item_ids_left_out` how many more there are.",
    ),
    reason: described(z.string(), "Why, as the one who started it said."),
    total: described(z.number().int(), "Deliveries, events or Items that it is about, counted when it was made."),
    done: described(z.number().int(), "Those that it is done with, failed ones included."),
    changed: described(
      z.number().int(),
      "Those of them that it scheduled or changed; the others needed nothing or failed.",
    ),
    failed: described(z.number().int(), "Items that failed; POST /v1/jobs/:id/retry tries them again."),
    outstanding: described(
      z.number().int(),
      "Items that are begun and wait for something, such as a webhook of Plaid's.",
    ),
    states: described(
      z.record(z.string(), z.number().int()),
      "Of a job about Items: how many are in which state, such as `updated`.",
    ),
    failures: described(z.array(Failures), "Of a job about Items: what failed, by cause, the most frequent first."),
    per_minute: described(
      z.number().int().nullable(),
      "Of a job about Items: its pace, Items that are begun in a minute.",
    ),
    created_at: timestamp("When it was asked for."),
    updated_at: timestamp("When it last made progress."),
    finished_at: noTimestamp("When it was done or cancelled."),
  })
  .meta({ id: "Job", description: "Work on many deliveries or Items.", examples: [jobExample] });

export const fleetJobExample = {
  ...jobExample,
  kind: "webhook_move" as const,
  destination_id: null,
  asked: { to_intake: true, integration_id: INTEGRATION_ID },
  reason: "Tartan takes over",
  total: 10_000,
  done: 812,
  changed: 790,
  failed: 12,
  outstanding: 9,
  states: { pending: 9179, updated: 9, verified: 790, unchanged: 10, failed: 12 },
  failures: [
    {
      cause: "ITEM_NOT_FOUND",
      items: 12,
      message: "Plaid no longer has the item: it was removed.",
      next_step: "Ask the user to link the account again. Then unlink this item.",
    },
  ],
  per_minute: 600,
};

export const memberExample = {
  integration_id: INTEGRATION_ID,
  item_id: ITEM_ID,
  state: "acknowledged",
  cause: null,
  message: null,
  next_step: null,
  attempts: 0,
  details: { to: "https://tartan.example.com/v1/integrations/svi_1", former_url: "https://old.example.com/plaid" },
  since: "2026-11-23T08:00:01.300Z",
  due_at: "2026-11-23T08:00:01.300Z",
  waits_until: null,
};

export const JobMember = z
  .object({
    integration_id: integrationId,
    item_id: itemId,
    state: described(z.string(), "How far it is; the names are those of `states` of its job."),
    cause: described(z.string().nullable(), "Of its failure, or of a failure that is tried again."),
    message: described(z.string().nullable(), "What is wrong."),
    next_step: described(z.string().nullable(), "What to do about it."),
    attempts: described(z.number().int(), "Failures in a row that are tried again."),
    details: anyObject(
      "What the job keeps of it. Of a move: the URL it gets (`to`), and the one before (`former_url`).",
    ),
    since: timestamp("Since when it is in the state."),
    due_at: noTimestamp("When Tartan works on it next, or next asks whether what it waits for has come."),
    waits_until: noTimestamp("When it fails unless what it waits for has come."),
  })
  .meta({ id: "JobMember", description: "An Item of a job.", examples: [memberExample] });

export const Count = z
  .object({ count: described(z.number().int(), "Deliveries or events that it would be about.") })
  .meta({ description: "How many it would be about; nothing was done.", examples: [{ count: 412 }] });
