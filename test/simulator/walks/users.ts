import {
  ConsumerReportPermissiblePurpose as Purpose,
  CountryCode,
  CraCheckReportVerificationGetReportType as Verification,
  type CraVerificationReport,
  MonitoringConsumerReportPermissiblePurpose as MonitoringPurpose,
  Products,
  SandboxBankIncomeWebhookFireRequestWebhookCode as BankIncome,
  SandboxIncomeWebhookFireRequestWebhookCode as Income,
  SandboxUserFireWebhookCode,
  SandboxUserFireWebhookType,
} from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

export const users: Walk = {
  through: "users, their items and their removal",
  async walk({ sdk, simulator, webhook, judged }) {
    const created = await judged("/user/create", sdk.userCreate({ client_user_id: "walker" }));
    const { user_id } = created;
    expect(created.user_token).toBeUndefined();
    const name = { given_name: "Ada", family_name: "Bell" };
    await judged("/user/update", sdk.userUpdate({ user_id, identity: { name } }));
    const user = await judged("/user/get", sdk.userGet({ user_id }));
    expect(user).toMatchObject({ user_id, client_user_id: "walker", identity: { name } });

    const { link_token } = (
      await sdk.linkTokenCreate({
        client_name: "Tartan",
        language: "en",
        country_codes: [CountryCode.Us],
        user_id,
        products: [Products.Transactions],
        webhook,
      })
    ).data;
    const { item_id } = simulator.control.completeLink({ link_token });
    const { items } = await judged("/user/items/get", sdk.userItemsGet({ user_id }));
    expect(items.map((item) => item.item_id)).toEqual([item_id]);

    const [older] = simulator.control.records.create("user", { legacy: true, items: 2, webhooks: false }).records;
    const user_token = older?.token ?? "";
    expect((await refusal(sdk.userGet({ user_id: older?.id ?? "" }))).error_code).toBe("USER_NOT_FOUND");
    expect((await judged("/user/items/get", sdk.userItemsGet({ user_token }))).items).toHaveLength(2);
    await judged("/user/remove", sdk.userRemove({ user_token }));
    await judged("/user/remove", sdk.userRemove({ user_id }));
    for (const gone of [{ user_id }, { user_token }])
      expect((await refusal(sdk.userItemsGet(gone))).error_code).toBe("USER_NOT_FOUND");
  },
};

export const income: Walk = {
  through: "payroll income, its risk signals and bank income",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { user_id } = (await sdk.userCreate({ client_user_id: "unemployed" })).data;
    for (const none of [sdk.creditPayrollIncomeGet({ user_id }), sdk.creditBankIncomeGet({ user_id })])
      expect((await refusal(none)).error_code).toBe("INCOME_VERIFICATION_NOT_FOUND");

    const { records } = simulator.control.records.create("user", { legacy: true, count: 4, check_report: false });
    for (const { id, token } of records) {
      const user_token = token ?? "";
      const payroll = await judged("/credit/payroll_income/get", sdk.creditPayrollIncomeGet({ user_token }));
      const stubs = payroll.items[0]?.payroll_income[0]?.pay_stubs.length ?? 0;
      simulator.control.records.change("user", id, { pay_stubs: 1, bank_income: true });
      const later = (await sdk.creditPayrollIncomeGet({ user_token })).data;
      expect(later.items[0]?.payroll_income[0]?.pay_stubs).toHaveLength(stubs + 1);
      await judged("/credit/payroll_income/risk_signals/get", sdk.creditPayrollIncomeRiskSignalsGet({ user_token }));
      const { bank_income } = await judged(
        "/credit/bank_income/get",
        sdk.creditBankIncomeGet({ user_token, options: { count: 5 } }),
      );
      expect(bank_income).toHaveLength(2);
      expect((await sdk.creditBankIncomeGet({ user_token })).data.bank_income).toHaveLength(1);
      const item_id = payroll.items[0]?.item_id ?? "";
      // Plaid's document has no schema yet of the codes that begin with USER.
      for (const webhook_code of [Income.IncomeVerification, Income.IncomeVerificationRiskSignals]) {
        await judged(
          "/sandbox/income/fire_webhook",
          sdk.sandboxIncomeFireWebhook({ item_id, user_id: id, webhook, webhook_code }),
        );
      }
      for (const webhook_code of Object.values(BankIncome)) {
        await judged(
          "/sandbox/bank_income/fire_webhook",
          sdk.sandboxBankIncomeFireWebhook({ webhook_code, webhook_fields: { user_id: id } }),
        );
      }
    }
    expect([...new Set(await arrived())].toSorted()).toEqual([
      "INCOME/BANK_INCOME_COMPLETE",
      "INCOME/BANK_INCOME_REFRESH_COMPLETE",
      "INCOME/BANK_INCOME_REFRESH_UPDATE",
      "INCOME/INCOME_VERIFICATION",
      "INCOME/INCOME_VERIFICATION_RISK_SIGNALS",
    ]);
  },
};

export const plaidCheck: Walk = {
  through: "a consumer report, its insights and cash-flow updates",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { control } = simulator;
    const blank = { payroll: false, bank_income: false, check_report: false, cash_flow: false };
    const [made] = control.records.create("user", { items: 2, ...blank }).records;
    const user_id = made?.id ?? "";
    const refused = async () => (await refusal(sdk.craCheckReportBaseReportGet({ user_id }))).error_code;
    expect(await refused()).toBe("CONSUMER_REPORT_NOT_FOUND");
    const purpose = { consumer_report_permissible_purpose: Purpose.ExtensionOfCredit };
    const create = sdk.craCheckReportCreate({ user_id, webhook, days_requested: 90, ...purpose });
    await judged("/cra/check_report/create", create);
    expect(await refused()).toBe("PRODUCT_NOT_READY");
    await control.advanceClock({ advance_s: 5 });
    const { report } = await judged("/cra/check_report/base_report/get", sdk.craCheckReportBaseReportGet({ user_id }));
    expect(report.items).toHaveLength(2);
    const asked = { user_id };
    await judged("/cra/check_report/income_insights/get", sdk.craCheckReportIncomeInsightsGet(asked));
    await judged("/cra/check_report/partner_insights/get", sdk.craCheckReportPartnerInsightsGet(asked));
    await judged("/cra/check_report/network_insights/get", sdk.craCheckReportNetworkInsightsGet(asked));
    await judged("/cra/check_report/cashflow_insights/get", sdk.craCheckReportCashflowInsightsGet(asked));
    await judged("/cra/check_report/lend_score/get", sdk.craCheckReportLendScoreGet(asked));
    const verify = (reports_requested: Verification[], days?: number) =>
      sdk.craCheckReportVerificationGet({
        user_id,
        reports_requested,
        ...(days === undefined ? {} : { employment_refresh_options: { days_requested: days } }),
      });
    expect((await refusal(verify([Verification.EmploymentRefresh]))).error_code).toBe("INVALID_FIELD");
    const all = Object.values(Verification);
    const verified = (await judged("/cra/check_report/verification/get", verify(all, 180))).report;
    expect(verified.report_id).toBe(report.report_id);
    expect(verified.voa?.items).toHaveLength(2);
    expect(verified.income?.income_streams).toHaveLength(2);
    const deposits = ({ employment_refresh }: CraVerificationReport) =>
      (employment_refresh?.items ?? []).flatMap(({ accounts }) => accounts.flatMap((each) => each.transactions));
    expect(deposits(verified).length).toBeGreaterThan(0);
    const [today] = [(await verify([Verification.EmploymentRefresh], 1)).data.report];
    expect(deposits(today).length).toBeLessThan(deposits(verified).length);
    expect([today.voa, today.income]).toEqual([null, null]);

    await judged("/cra/monitoring_insights/subscribe", sdk.craMonitoringInsightsSubscribe({ user_id, webhook }));
    await judged("/sandbox/cra/cashflow_updates/update", sdk.sandboxCraCashflowUpdatesUpdate({ user_id }));
    const monitored = await judged(
      "/cra/monitoring_insights/get",
      sdk.craMonitoringInsightsGet({
        user_id,
        consumer_report_permissible_purpose: MonitoringPurpose.AccountReviewCredit,
      }),
    );
    expect(monitored.items).toHaveLength(1);
    control.records.create("user", { legacy: true, ...blank, check_report: true });
    const type = { webhook_type: SandboxUserFireWebhookType.CheckReport, webhook };
    for (const webhook_code of Object.values(SandboxUserFireWebhookCode)) {
      const fired = await judged(
        "/sandbox/user/fire_webhook",
        sdk.sandboxUserFireWebhook({ user_id, webhook_code, ...type }),
      );
      expect(fired.webhook_fired).toBe(true);
    }
    control.records.change("user", user_id, { check_report: true });
    const replaced = (await sdk.craCheckReportBaseReportGet({ user_id })).data.report;
    expect(replaced.report_id).not.toBe(report.report_id);
    expect([...new Set(await arrived())].toSorted()).toEqual([
      "CASH_FLOW_UPDATES/CASH_FLOW_INSIGHTS_UPDATED",
      "CHECK_REPORT/CHECK_REPORT_FAILED",
      "CHECK_REPORT/CHECK_REPORT_READY",
      "CHECK_REPORT/USER_CHECK_REPORT_FAILED",
      "CHECK_REPORT/USER_CHECK_REPORT_READY",
    ]);
    await control.advanceClock({ advance_s: 86_400 });
    expect(await refused()).toBe("CONSUMER_REPORT_EXPIRED");
  },
};
