/** Every record book, by its kind. */
import { assetReport } from "./asset-report.ts";
import { linkSession } from "./link-session.ts";
import { identityVerification } from "./identity-verification.ts";
import { originator } from "./originator.ts";
import { issue } from "./issue.ts";
import { partnerCustomer } from "./partner-customer.ts";
import { paymentConsent } from "./payment-consent.ts";
import { paymentRecipient } from "./payment-recipient.ts";
import { payment } from "./payment.ts";
import type { AnyRecordBook } from "./record-book.ts";
import { recurringTransfer } from "./recurring-transfer.ts";
import { entityScreening, screening } from "./screening.ts";
import { transferAuthorization } from "./transfer-authorization.ts";
import { transferLedger } from "./transfer-ledger.ts";
import { transfer } from "./transfer.ts";
import { walletTransaction } from "./wallet-transaction.ts";
import { wallet } from "./wallet.ts";
import { user } from "./user.ts";

export const RECORDS = {
  entity_screening: entityScreening,
  identity_verification: identityVerification,
  screening,
  originator,
  issue,
  partner_customer: partnerCustomer,
  payment,
  payment_consent: paymentConsent,
  payment_recipient: paymentRecipient,
  user,
  asset_report: assetReport,
  link_session: linkSession,
  recurring_transfer: recurringTransfer,
  transfer,
  transfer_authorization: transferAuthorization,
  transfer_ledger: transferLedger,
  wallet,
  wallet_transaction: walletTransaction,
};

export type RecordKind = keyof typeof RECORDS;

export const ALL_RECORDS: readonly AnyRecordBook[] = Object.values(RECORDS) as unknown as AnyRecordBook[];
