/** POST /asset_report/…: reports on what Items held on one day; a refresh makes another report. */
import { z } from "zod";
import { assetReportNotReady, assetsNotEnabled, PlaidApiError, unknownAccessToken } from "../plaid-error.ts";
import { assetReport, isReadable, reportAnswer } from "../records/asset-report.ts";
import { makeRecord } from "../records/changes.ts";
import { endpoint, type Call, type Endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { recordTokenEndpoint } from "./record-endpoint.ts";

const options = z
  .looseObject({
    client_report_id: z.string().nullish(),
    webhook: webhookUrl.nullish(),
    user: z.looseObject({ client_user_id: z.string().optional() }).nullish(),
  })
  .optional();
const days = z.int().min(0).max(731);

type Options = z.output<typeof options>;

function create(itemIds: readonly string[], daysRequested: number, asked: Options, { sim, client }: Call) {
  const made = makeRecord(
    sim,
    assetReport,
    client.clientId,
    {
      item_ids: [...itemIds],
      items: 1,
      days_requested: daysRequested,
      client_report_id: asked?.client_report_id ?? undefined,
      user: asked?.user ?? undefined,
      ready_after_s: sim.options.extraction.refreshMs / 1000,
      fails: false,
    },
    { webhook: asked?.webhook ?? null },
  );
  return { asset_report_id: made.id, asset_report_token: made.state.token };
}

function itemOf(accessToken: string, { sim, client }: Call): string {
  const item = sim.world.itemByToken(accessToken);
  if (!item || item.clientId !== client.clientId || item.removed) throw unknownAccessToken();
  if (!item.products.includes("assets")) throw assetsNotEnabled();
  return item.itemId;
}

export const ASSET_REPORTS: readonly Endpoint[] = [
  endpoint(
    "/asset_report/create",
    { access_tokens: z.array(z.string()).min(1).max(99), days_requested: days, options },
    (body, call) => {
      const itemIds = body.access_tokens.map((token) => itemOf(token, call));
      return create(itemIds, body.days_requested, body.options, call);
    },
  ),
  recordTokenEndpoint(
    "/asset_report/get",
    assetReport,
    "asset_report_token",
    {
      user_token: z.string().optional(),
      include_insights: z.boolean().optional(),
      fast_report: z.boolean().optional(),
      options: z.looseObject({}).optional(),
    },
    (record) => {
      if (record.state.error) throw new PlaidApiError(record.state.error);
      if (!isReadable(record)) throw assetReportNotReady();
      return reportAnswer(record);
    },
    { perClient: 1000, code: "RATE_LIMIT" },
  ),
  recordTokenEndpoint(
    "/asset_report/refresh",
    assetReport,
    "asset_report_token",
    { days_requested: days.nullish(), options },
    ({ state, webhook }, body, call) => {
      const itemIds = state.items.map(({ item }) => item.itemId);
      const asked = { webhook, user: state.user, client_report_id: state.clientReportId, ...body.options };
      return create(itemIds, body.days_requested ?? state.daysRequested, asked, call);
    },
  ),
  recordTokenEndpoint("/asset_report/remove", assetReport, "asset_report_token", {}, ({ state }) => {
    state.token = "";
    return { removed: true };
  }),
];
