/**
 * How likely uploaded documents of a user's income are false
 * (https://plaid.com/docs/api/products/income/#creditpayroll_incomerisk_signalsget): an add-on that Plaid bills by itself.
 */
import { USER } from "./subjects.ts";
import { jsonb, numeric, text, type Resource } from "./types.ts";

const at = "items[].verification_risk_signals[]";
const places = { with: ["account_id", "items[].item_id"], numbered: "position", numberedWithin: "items[]" };
// What a signal compared may be a name or a number of the document, and its sentence may quote it.
const SIGNALS = {
  "risk_signals.signal_description": "hidden",
  "risk_signals.expected_value": "hidden",
  "risk_signals.actual_value": "hidden",
} as const;

export const payrollRiskSignals: Resource = {
  name: "payroll_risk_signals",
  touchedBy: [
    {
      type: "INCOME",
      codes: ["INCOME_VERIFICATION_RISK_SIGNALS", "USER_INCOME_VERIFICATION_RISK_SIGNALS"],
    },
  ],
  subject: USER,
  billed: "once",
  fetch: {
    kind: "snapshot",
    endpoint: "/credit/payroll_income/risk_signals/get",
    none: ["INCOME_VERIFICATION_NOT_FOUND"],
  },
  tables: [
    {
      name: "payroll_risk_signals",
      row: "an uploaded document with its risk score and signals",
      rows: [{ at: `${at}.single_document_risk_signals`, ...places }],
      // Files are often named after their user.
      sensitive: { "document_reference.document_name": "hidden", ...SIGNALS },
      key: ["item_id", "position"],
      columns: [
        text("account_id"),
        text("document_reference_document_id", "document_reference.document_id"),
        text("document_reference_document_name", "document_reference.document_name"),
        text("document_reference_document_type", "document_reference.document_type"),
        text("document_reference_status", "document_reference.status"),
        numeric("risk_summary_risk_score", "risk_summary.risk_score"),
        jsonb("risk_signals"),
      ],
      event: {
        rows: "risk signals of documents",
        example: {
          item_id: "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6",
          account_id: null,
          position: 1,
          document_reference: { document_id: "1pkflebk4", document_name: "paystub.pdf", status: "PROCESSING_COMPLETE" },
          risk_signals: [{ type: "FONT", has_fraud_risk: true }],
          risk_summary: { risk_score: 70 },
        },
      },
    },
    {
      name: "payroll_risk_signals_across",
      row: "the signs of tampering that several documents of an item show together",
      rows: [{ at: `${at}.multi_document_risk_signals`, ...places }],
      sensitive: { "document_references.document_name": "hidden", ...SIGNALS },
      key: ["item_id", "position"],
      columns: [text("account_id"), jsonb("document_references"), jsonb("risk_signals")],
    },
  ],
};
