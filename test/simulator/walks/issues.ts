import { BetaIssuesV1MatchIdentifierType as Identifier, CountryCode } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk, Walker } from "./walk.ts";

const INSTITUTION = "ins_109509";

export const issues: Walk = {
  through: "incidents of institutions and the registrations of a partner's customers",
  async walk(walker) {
    const { sdk, simulator, webhook, judged, arrived } = walker;
    const { records } = simulator.control;
    const [item] = simulator.control.createItems({ institution_id: INSTITUTION }).items as [Made];
    const [begun] = records.create("issue", { institution_id: INSTITUTION, severity: "CRITICAL" }).records;
    const issue_id = begun?.id ?? "";
    expect(await arrived()).toEqual(["DASHBOARD_CONFIGURED_ALERT/INSTITUTION_STATUS_ALERT_TRIGGERED"]);

    const { issues } = await judged("/issues/search", sdk.issuesSearch({ item_id: item.item_id }));
    expect(issues?.map((one) => one.issue_id)).toEqual([issue_id]);
    const { issue } = await judged("/issues/get", sdk.issuesGet({ issue_id }));
    expect(issue).toMatchObject({ institution_ids: [INSTITUTION], status: "REPORTED" });
    expect((await refusal(sdk.issuesGet({ issue_id: "INC1" }))).error_code).toBe("INVALID_FIELD");
    await judged("/issues/subscribe", sdk.issuesSubscribe({ issue_id, webhook }));
    await newer(walker, issue_id, item);
    expect(await health(walker)).toMatchObject({
      health_incidents: [{ end_date: null }],
      item_logins: { status: "DOWN" },
    });

    records.change("issue", issue_id, { status: "RESOLVED" });
    expect((await arrived()).at(-1)).toBe("ISSUES/ISSUE_RESOLVED");
    expect((await sdk.issuesGet({ issue_id })).data.issue?.status).toBe("RESOLVED");
    expect(await health(walker)).toMatchObject({
      health_incidents: [{ end_date: expect.any(String) }],
      item_logins: { status: "HEALTHY" },
    });
    await unheard(walker);

    const [customer] = records.create("partner_customer").records;
    const end_customer_client_id = customer?.id ?? "";
    records.change("partner_customer", end_customer_client_id, { institution_id: "ins_127287", status: "approved" });
    expect((await arrived()).at(-1)).toBe("PARTNER/END_CUSTOMER_OAUTH_STATUS_UPDATED");
    const { institutions } = await judged(
      "/partner/customer/oauth_institutions/get",
      sdk.partnerCustomerOauthInstitutionsGet({ end_customer_client_id }),
    );
    expect(institutions?.[0]).toMatchObject({ environments: { production: "APPROVED" } });
  },
};

async function health({ sdk }: Walker) {
  const options = { include_status: true };
  const request = { institution_id: INSTITUTION, country_codes: [CountryCode.Us], options };
  return (await sdk.institutionsGetById(request)).data.institution.status;
}

interface Made {
  item_id: string;
  access_token: string;
}

async function newer({ sdk, webhook, judged }: Walker, issue_id: string, item: Made): Promise<void> {
  const list = await judged("/beta/issues/v1/list", sdk.betaIssuesV1List({ institution_id: INSTITUTION }));
  expect(list.issues).toHaveLength(1);
  const got = await judged("/beta/issues/v1/get", sdk.betaIssuesV1Get({ issue_id }));
  expect(got).toMatchObject({ ...list.issues[0], impact: { affected_existing_item_count: 1 } });
  const { request_id } = (await sdk.itemGet({ access_token: item.access_token })).data;
  for (const [identifier_type, identifier] of [
    [Identifier.ItemId, item.item_id],
    [Identifier.RequestId, request_id],
  ] as const) {
    const matched = await judged("/beta/issues/v1/match", sdk.betaIssuesV1Match({ identifier_type, identifier }));
    expect(matched).toMatchObject({ item_id: item.item_id, issues: [{ issue_id }] });
  }
  const nothing = sdk.betaIssuesV1Match({ identifier_type: Identifier.AccountId, identifier: "nobody" });
  expect((await refusal(nothing)).error_code).toBe("INVALID_FIELD");
  await judged("/beta/issues/v1/subscribe", sdk.betaIssuesV1Subscribe({ issue_id, webhook }));
}

/** An issue whose subscriber has left, and one that nobody subscribed to, are resolved without a webhook. */
async function unheard({ sdk, simulator, webhook, judged, arrived }: Walker): Promise<void> {
  const { records } = simulator.control;
  const made = records.create("issue", { institution_id: INSTITUTION, count: 2, webhooks: false }).records;
  const [left] = made;
  await sdk.betaIssuesV1Subscribe({ issue_id: left?.id ?? "", webhook });
  await judged("/beta/issues/v1/unsubscribe", sdk.betaIssuesV1Unsubscribe({ issue_id: left?.id ?? "" }));
  const before = await arrived();
  for (const { id } of made) records.change("issue", id, { status: "RESOLVED" });
  expect(await arrived()).toEqual(before);
}
