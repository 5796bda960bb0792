/** /v1/dead-letters: dead letters, in groups. jobs.ts sends them again. */
import { z } from "zod";
import { destinationId, timestamp, described } from "../../model/schema.ts";
import { groups } from "../../relay/ledger/dead-letters.ts";
import { DeadLetterFilter } from "../../relay/ledger/delivery.schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { list } from "../http/shapes.ts";
import { DESTINATION_ID } from "../../model/examples.ts";

export function deadLetterOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/dead-letters", { schema: LIST }, ({ query }) => groups(database, query));
}

const example = {
  destination_id: DESTINATION_ID,
  destination_name: "ledger",
  cause: "status_503",
  count: 412,
  first_at: "2026-11-20T20:40:02.118Z",
  last_at: "2026-11-21T20:41:10.004Z",
  replayable: 410,
};

const DeadLetters = z
  .object({
    destination_id: destinationId,
    destination_name: described(z.string(), "Its name."),
    cause: described(z.string().nullable(), "Why they gave up."),
    count: described(
      z.number().int(),
      "Number of dead letters, counted up to 1001. A redrive with `dry_run` counts them all.",
    ),
    first_at: timestamp("When the first of them did."),
    last_at: timestamp("When the last of them did."),
    replayable: described(z.number().int(), "How many of the oldest hundred can be sent again."),
  })
  .meta({ id: "DeadLetters", description: "Dead letters of one kind.", examples: [example] });

const LIST = {
  ...about("Deliveries", {
    operationId: "listDeadLetters",
    summary: "List dead letters",
    description:
      "Dead letters, counted by destination and cause; within a page the largest group first. `GET /v1/deliveries?status=dead` lists them one by one, " +
      "and `POST /v1/dead-letters/redrive` sends them again.",
  }),
  querystring: DeadLetterFilter,
  response: { 200: list(DeadLetters, example, "A page of groups."), ...refusals() },
};
