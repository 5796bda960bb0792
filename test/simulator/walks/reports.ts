import { CountryCode, Products } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

export const assetReports: Walk = {
  through: "asset reports and their refresh",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { control } = simulator;
    const { items } = control.createItems({ count: 2, products: ["assets"], transactions: 3 });
    const [other] = control.createItems({ count: 1 }).items;
    const access_tokens = items.map((item) => item.access_token);
    const without = sdk.assetReportCreate({ access_tokens: [other?.access_token ?? ""], days_requested: 30 });
    expect((await refusal(without)).error_code).toBe("PRODUCT_NOT_ENABLED");
    const created = await judged(
      "/asset_report/create",
      sdk.assetReportCreate({
        access_tokens,
        days_requested: 30,
        options: { webhook, client_report_id: "loan-17", user: { first_name: "Ada", ssn: "123-45-6789" } },
      }),
    );
    const { asset_report_token } = created;
    expect((await refusal(sdk.assetReportGet({ asset_report_token }))).error_code).toBe("PRODUCT_NOT_READY");
    await control.advanceClock({ advance_s: 5 });
    const { report } = await judged("/asset_report/get", sdk.assetReportGet({ asset_report_token }));
    expect(report).toMatchObject({ asset_report_id: created.asset_report_id, client_report_id: "loan-17" });
    expect(report.items.map((item) => item.item_id)).toEqual(items.map((item) => item.item_id));

    const refreshed = await judged("/asset_report/refresh", sdk.assetReportRefresh({ asset_report_token }));
    expect(refreshed.asset_report_id).not.toBe(created.asset_report_id);
    await control.advanceClock({ advance_s: 5 });
    control.records.create("asset_report", { fails: true, webhook });
    const [drawn] = control.records.create("asset_report", { items: 2, webhooks: false }).records;
    await judged("/asset_report/get", sdk.assetReportGet({ asset_report_token: drawn?.token ?? "" }));
    expect(await arrived()).toEqual(["ASSETS/PRODUCT_READY", "ASSETS/PRODUCT_READY", "ASSETS/ERROR"]);
    await judged("/asset_report/remove", sdk.assetReportRemove({ asset_report_token }));
    expect((await refusal(sdk.assetReportGet({ asset_report_token }))).error_code).toBe("INVALID_ASSET_REPORT_TOKEN");
  },
};

export const linkSessions: Walk = {
  through: "Link sessions that Plaid reports",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { control } = simulator;
    const session = {
      client_name: "Tartan",
      language: "en",
      country_codes: [CountryCode.Us],
      user: { client_user_id: "user-19" },
      products: [Products.Auth],
      webhook,
    };
    const quiet = (await sdk.linkTokenCreate(session)).data.link_token;
    control.completeLink({ link_token: quiet });
    expect(await arrived()).toEqual([]);
    const { link_token } = (await sdk.linkTokenCreate({ ...session, hosted_link: {} })).data;
    const empty = await judged("/link/token/get", sdk.linkTokenGet({ link_token }));
    expect(empty.link_sessions).toEqual([]);

    const { public_token } = control.completeLink({ link_token });
    control.records.create("link_session", { link_token, outcome: "EXITED", webhook });
    const [open] = control.records.create("link_session", { link_token, outcome: null, webhook }).records;
    control.records.change("link_session", open?.id ?? "", { events: 2 });
    control.records.change("link_session", open?.id ?? "", { outcome: "SUCCESS" });
    const { link_sessions = [] } = await judged("/link/token/get", sdk.linkTokenGet({ link_token }));
    expect(link_sessions.map(({ exit, finished_at }) => [exit === null, finished_at !== null])).toEqual([
      [true, true],
      [false, true],
      [true, true],
    ]);
    expect(link_sessions[0]?.results?.item_add_results.map((each) => each.public_token)).toEqual([public_token]);
    const exchanged = await sdk.itemPublicTokenExchange({ public_token: public_token ?? "" });
    expect(exchanged.data.access_token).toMatch(/^access-sandbox-/);
    expect([...new Set(await arrived())].toSorted()).toEqual([
      "LINK/EVENTS",
      "LINK/ITEM_ADD_RESULT",
      "LINK/SESSION_FINISHED",
    ]);
    expect((await refusal(sdk.linkTokenGet({ link_token: "link-sandbox-nobody" }))).error_code).toBe(
      "INVALID_LINK_TOKEN",
    );
  },
};
