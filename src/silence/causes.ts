/**
 * Why an integration's webhooks have stopped, and what to do: the first of these that is so.
 *
 *   Plaid does not answer ▶ Plaid refuses our keys ▶ no process receives ▶ Tartan refuses what is signed ▶ Plaid gets errors
 *   ▶ Plaid sends to another URL ▶ Plaid's list says that it sent none ▶ Tartan refuses what is not signed ▶ not known: nothing arrives here
 *
 * What is not signed may be anybody's, such as your backend's with a wrong secret; or Plaid's, through a proxy that drops the signature.
 */
import type { Queryable } from "../database/types.ts";
import type { KnownIntegration } from "../model/integration.ts";
import type { PlaidClient } from "../plaid/client.ts";
import { PlaidError } from "../plaid/errors.ts";
import { isIntake } from "../sync/items.ts";
import { FAILING_SINCE, HAS_RECEIVER, LIST_SAYS, REFUSED_SINCE, WEBHOOK_URLS } from "./watch-queries.ts";

export const CAUSES = [
  "plaid_down",
  "credentials_refused",
  "no_receiver",
  "refused",
  "failing",
  "url_elsewhere",
  "none_sent",
  "unknown",
] as const;
export type Cause = (typeof CAUSES)[number];

export interface Reason {
  cause: Cause;
  /** what is wrong, in plain words */
  message: string;
  next_step: string;
}

export interface CauseDeps {
  q: Queryable;
  integration: KnownIntegration;
  client: PlaidClient;
  /** the instant of the last webhook of Plaid */
  since: Date;
  signal: AbortSignal;
}

/** The likeliest cause. */
export async function causeOf(deps: CauseDeps): Promise<Reason> {
  for (const look of [askPlaid, findReceiver, findSigned, findFailures, findOtherUrls, askList, findUnsigned]) {
    const reason = await look(deps);
    if (reason !== null) return reason;
  }
  return {
    cause: "unknown",
    message: "No request of Plaid's reaches Tartan, and nothing says why.",
    next_step:
      "Check that the intake URL is reachable from the internet: its DNS name, certificate, port, firewall and proxy; then " +
      "`npx tartan webhooks refusals`. Plaid does not repeat webhooks to a URL that refused more than 90 % of a day's.",
  };
}

/** A free request that needs no item. */
async function askPlaid({ integration, client, signal }: CauseDeps): Promise<Reason | null> {
  try {
    await client.post("/institutions/get", { count: 1, offset: 0, country_codes: integration.countryCodes }, signal);
    return null;
  } catch (error) {
    if (!(error instanceof PlaidError)) throw error;
    // It answers.
    if (error.rateLimited) return null;
    if (error.retryClass === "configuration")
      return {
        cause: "credentials_refused",
        message: `Plaid refuses the integration's client id and secret (${error.errorCode}).`,
        next_step: `Set those of ${integration.environment}: \`PLAID_SECRET=… npx tartan integrations update ${integration.id} --secret\`.`,
      };
    return {
      cause: "plaid_down",
      message: `Plaid's API does not answer (${error.errorType}/${error.errorCode}).`,
      next_step: "Nothing: Tartan goes on once Plaid answers. See https://status.plaid.com.",
    };
  }
}

async function findReceiver({ q }: CauseDeps): Promise<Reason | null> {
  const { rows } = await q.query<{ has: boolean }>(HAS_RECEIVER);
  if (rows[0]?.has !== false) return null;
  return {
    cause: "no_receiver",
    message: "No Tartan process takes webhooks: none with the role receiver runs.",
    next_step: "Start one: `npx tartan up --only receiver`.",
  };
}

const findSigned = (deps: CauseDeps): Promise<Reason | null> => findRefusals(deps, true);
const findUnsigned = (deps: CauseDeps): Promise<Reason | null> => findRefusals(deps, false);

async function findRefusals({ q, integration, since }: CauseDeps, signed: boolean): Promise<Reason | null> {
  const { rows } = await q.query<{ reason: string; count: number }>(REFUSED_SINCE, [integration.id, since, signed]);
  const [refused] = rows;
  if (!refused) return null;
  return {
    cause: "refused",
    message: `Tartan has refused requests to the intake since then, ${refused.count} of them for ${refused.reason}.`,
    next_step:
      "`npx tartan webhooks refusals` says who sent them and why they were refused. A proxy must pass on the header Plaid-Verification " +
      "and the body as they are, and the clock must be right. While more than 90 % of a day's webhooks are refused, Plaid does not repeat them.",
  };
}

async function findFailures({ q, integration, since }: CauseDeps): Promise<Reason | null> {
  type Row = { status: number | null; at: Date; percent: number };
  const { rows } = await q.query<Row>(FAILING_SINCE, [integration.id, since]);
  const [failing] = rows;
  if (!failing) return null;
  const got = failing.status === null ? "no answer" : String(failing.status);
  const rule =
    failing.percent > 90 ? " It gets errors for more than 90 % of a day's webhooks, so it does not repeat them." : "";
  return {
    cause: "failing",
    message: `Plaid got ${got} from you at ${failing.at.toISOString().replace(/\.\d+Z$/, "Z")}.${rule}`,
    next_step:
      "`npx tartan webhooks sent --status FAILED` lists what Plaid got. Look at what stands before Tartan (proxy, load balancer), and at " +
      "`GET /readyz`. What was lost is synced from Plaid's list and by reconciliation.",
  };
}

async function findOtherUrls({ q, integration }: CauseDeps): Promise<Reason | null> {
  const { rows } = await q.query<{ url: string | null; count: number }>(WEBHOOK_URLS, [integration.id]);
  const sum = (some: typeof rows): number => some.reduce((all, { count }) => all + count, 0);
  const other = sum(rows.filter(({ url }) => url === null || !isIntake(url, integration.id)));
  if (other === 0 || other * 2 < sum(rows)) return null;
  return {
    cause: "url_elsewhere",
    message: `Plaid sends the webhooks of ${other} of ${sum(rows)} items to another URL than this intake's, or to none.`,
    next_step: `\`npx tartan items move-webhooks --to-intake --integration ${integration.id}\` moves them here.`,
  };
}

async function askList({ q, integration, since }: CauseDeps): Promise<Reason | null> {
  const { rows } = await q.query<{ current: boolean; sent: boolean }>(LIST_SAYS, [integration.id, since]);
  if (!rows[0]?.current || rows[0].sent) return null;
  return {
    cause: "none_sent",
    message: "Plaid's own list says that it has sent none since then, so none was lost.",
    next_step:
      "`npx tartan freshness` says whether items are still read. If Plaid updates none of them either, ask Plaid's support.",
  };
}
