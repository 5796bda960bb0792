/**
 * POST /issues/… and its successor /beta/issues/v1/…: the incidents of institutions, which of them concern an Item, and who is told
 * when one is resolved.
 */
import { z } from "zod";
import { invalidField, invalidInstitution } from "../plaid-error.ts";
import { issue, issueObject, isShown, newIssueObject, type Issue } from "../records/issue.ts";
import { linkSession } from "../records/link-session.ts";
import type { SimRecord } from "../records/record-book.ts";
import { bookOf, type Item } from "../item.ts";
import { endpoint, type Call, type Endpoint } from "./endpoint.ts";
import { webhookUrl } from "./item-webhook-update.ts";
import { recordEndpoint } from "./record-endpoint.ts";

const id = z.string().min(1).optional();
const IDENTIFIERS = ["ITEM_ID", "REQUEST_ID", "LINK_SESSION_ID", "ACCOUNT_ID"] as const;
type Identifier = (typeof IDENTIFIERS)[number];

export const ISSUES: readonly Endpoint[] = [
  endpoint(
    "/issues/search",
    { item_id: id, link_session_id: id, link_session_request_id: id },
    ({ item_id, link_session_id, link_session_request_id }, call) => {
      const item = itemBy("ITEM_ID", item_id ?? "", call) ?? itemBy("REQUEST_ID", link_session_request_id ?? "", call);
      const session = call.sim.world.records.get(linkSession, call.client.clientId, link_session_id ?? "");
      const institutions = item
        ? [item.institution.institution_id]
        : (session?.state.added ?? []).map((one) => one.institutionId);
      return { issues: institutions.flatMap((one) => issuesIn(one, call)).map(issueObject) };
    },
  ),
  recordEndpoint("/issues/get", issue, "issue_id", {}, (found) => ({ issue: issueObject(found) })),
  recordEndpoint("/issues/subscribe", issue, "issue_id", { webhook: webhookUrl }, subscribe),
  endpoint("/beta/issues/v1/list", { institution_id: z.string().min(1) }, ({ institution_id }, call) => {
    if (!call.sim.world.institution(institution_id)) throw invalidInstitution();
    const shown = issuesIn(institution_id, call).filter(
      ({ state }) => state.severity === "CRITICAL" || state.severity === "HIGH",
    );
    return { issues: shown.map((one) => newIssueObject(one, call.sim)) };
  }),
  recordEndpoint("/beta/issues/v1/get", issue, "issue_id", {}, (found, _body, { sim }) => newIssueObject(found, sim)),
  endpoint(
    "/beta/issues/v1/match",
    { identifier_type: z.enum(IDENTIFIERS), identifier: z.string().min(1) },
    ({ identifier_type, identifier }, call) => {
      const item = itemBy(identifier_type, identifier, call);
      if (!item) throw invalidField("identifier names nothing that belongs to one of your Items");
      return { issues: issuesOf(item, call).map((one) => newIssueObject(one, call.sim)), item_id: item.itemId };
    },
  ),
  recordEndpoint("/beta/issues/v1/subscribe", issue, "issue_id", { webhook: webhookUrl }, subscribe),
  recordEndpoint("/beta/issues/v1/unsubscribe", issue, "issue_id", {}, (found) => {
    found.webhook = null;
    return {};
  }),
];

function subscribe(found: SimRecord<Issue>, { webhook }: { webhook: string }): Record<string, never> {
  found.webhook = webhook;
  return {};
}

const issuesIn = (institution: string, { sim, client }: Call): SimRecord<Issue>[] =>
  sim.world.records
    .of(issue, client.clientId)
    .filter((one) => one.state.institution === institution && isShown(one, sim));

const issuesOf = (item: Item, call: Call): SimRecord<Issue>[] => issuesIn(item.institution.institution_id, call);

/** The client's Item that the identifier leads to. */
function itemBy(type: Identifier, identifier: string, { sim, client }: Call): Item | undefined {
  const mine = (item: Item | undefined) => (item?.clientId === client.clientId && !item.removed ? item : undefined);
  if (type === "ITEM_ID") return mine(sim.world.items.get(identifier));
  if (type === "REQUEST_ID") return mine(sim.world.items.get(sim.itemOfRequest(identifier) ?? ""));
  // A session does not say which Item it led to, until its public token was exchanged.
  if (type === "LINK_SESSION_ID") return undefined;
  return [...sim.world.items.values()].find(
    (item) => mine(item) && bookOf(item).accounts.some((account) => account.id === identifier),
  );
}
