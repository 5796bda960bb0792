/** POST /wallet/…: e-wallets and their transactions. */
import { z } from "zod";
import { makeRecord, recordOf } from "../records/changes.ts";
import { executeShape, walletTransaction, walletTransactionObject } from "../records/wallet-transaction.ts";
import { wallet, walletCurrency, walletObject } from "../records/wallet.ts";
import { endpoint, type Endpoint } from "./endpoint.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { pageOf } from "./record-pages.ts";
import { instant, only, within } from "./transfers.ts";

const next = (cursor: string | null) => (cursor === null ? {} : { next_cursor: cursor });

export const WALLETS: readonly Endpoint[] = [
  endpoint("/wallet/create", { iso_currency_code: walletCurrency }, (body, { sim, client }) =>
    walletObject(makeRecord(sim, wallet, client.clientId, { ...body, balance: 0 })),
  ),
  recordEndpoint("/wallet/get", wallet, "wallet_id", {}, walletObject),
  endpoint(
    "/wallet/list",
    {
      iso_currency_code: walletCurrency.optional(),
      cursor: z.string().max(1024).optional(),
      count: z.int().min(1).max(20).default(10),
    },
    ({ iso_currency_code, cursor, count }, { sim, client }) => {
      const all = sim.world.records.of(wallet, client.clientId);
      const page = pageOf(
        all.filter(({ state }) => iso_currency_code === undefined || state.currency === iso_currency_code),
        count,
        cursor,
      );
      return { wallets: page.records.map(walletObject), ...next(page.next_cursor) };
    },
  ),
  endpoint(
    "/wallet/transaction/execute",
    {
      ...executeShape,
      idempotency_key: z.string().min(1).max(128),
      originating_fund_source: z.looseObject({}).nullish(),
    },
    (body, { sim, client: { clientId } }) => {
      const earlier = sim.world.records
        .of(walletTransaction, clientId)
        .find(({ state }) => state.idempotencyKey === body.idempotency_key);
      const request = { ...only(body, executeShape), idempotency_key: body.idempotency_key, type: "PAYOUT" as const };
      const { id, state } = earlier ?? makeRecord(sim, walletTransaction, clientId, request);
      return { transaction_id: id, status: state.status };
    },
  ),
  recordEndpoint("/wallet/transaction/get", walletTransaction, "transaction_id", {}, walletTransactionObject),
  endpoint(
    "/wallet/transaction/list",
    {
      wallet_id: z.string().min(1),
      cursor: z.string().max(256).optional(),
      count: z.int().min(1).max(200).default(10),
      options: z.strictObject({ start_time: instant, end_time: instant }).nullish(),
    },
    ({ wallet_id, cursor, count, options }, { sim, client: { clientId } }) => {
      recordOf(sim, wallet, clientId, wallet_id);
      const all = sim.world.records.of(walletTransaction, clientId).filter(({ state }) => state.walletId === wallet_id);
      const asked = all.filter(({ createdAt }) => within(createdAt, options?.start_time, options?.end_time));
      const page = pageOf(asked, count, cursor);
      return { transactions: page.records.map(walletTransactionObject), ...next(page.next_cursor) };
    },
  ),
];
