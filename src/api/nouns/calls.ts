/** /v1/integrations/:id/calls: how many requests an integration has sent to Plaid. */
import { z } from "zod";
import { getIntegration } from "../../integrations/integrations.ts";
import { described, namedIntegration } from "../../model/schema.ts";
import { CallFilter } from "../../plaid/calls.schema.ts";
import { readCalls } from "../../plaid/calls.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { noIntegration } from "./integrations.ts";

export function callOperations(api: Api, { database }: ApiDeps): void {
  api.get("/v1/integrations/:id/calls", { schema: SHOW }, async ({ params: { id }, query }) => {
    if (!(await getIntegration(database, id))) throw noIntegration(id);
    const { endpoints, days, ...rest } = await readCalls(database, id, query);
    return { ...rest, endpoints: [...endpoints], days: [...days] };
  });
}

const number = (description: string) => described(z.number().int(), description);
const counts = {
  calls: number("Requests that were sent."),
  failures: number("Those that Plaid refused, or that failed on their way."),
  billed: number("Those of endpoints that Plaid bills by request, also where it refused them."),
};

const example = {
  from: "2026-11-19",
  to: "2026-11-20",
  endpoints: [
    { endpoint: "/accounts/balance/get", calls: 12, failures: 1, billed: 12 },
    { endpoint: "/transactions/sync", calls: 3120, failures: 4, billed: 0 },
  ],
  days: [
    { day: "2026-11-19", calls: 1604, failures: 3, billed: 5 },
    { day: "2026-11-20", calls: 1528, failures: 2, billed: 7 },
  ],
  total: { calls: 3132, failures: 5, billed: 12 },
};

const Calls = z
  .object({
    from: described(z.string(), "The first day, in UTC."),
    to: described(z.string(), "The last day, in UTC."),
    endpoints: described(z.array(z.object({ endpoint: z.string(), ...counts })), "Sums of all days, by endpoint."),
    days: described(z.array(z.object({ day: z.string(), ...counts })), "Sums of all endpoints, by day."),
    total: z.object(counts),
  })
  .meta({ id: "Calls", description: "Requests to Plaid.", examples: [example] });

const SHOW = {
  ...about("Integrations", {
    operationId: "getIntegrationCalls",
    summary: "Count requests to Plaid",
    description:
      "How many requests Tartan has sent to Plaid for an integration, by endpoint and by day. Counts are written every two seconds; those " +
      "of endpoints that Plaid bills by request are written before they are sent. Tartan keeps them for 400 days.",
  }),
  params: z.object({ id: namedIntegration }),
  querystring: CallFilter,
  response: { 200: Calls, ...refusals(404) },
};
