import {
  Products,
  SandboxItemSetVerificationStatusRequestVerificationStatusEnum as Status,
  type SandboxPublicTokenCreateRequest,
} from "plaid";
import { expect } from "vitest";
import type { Walk } from "./walk.ts";

const NEW_ITEM: SandboxPublicTokenCreateRequest = {
  institution_id: "ins_109508",
  initial_products: [Products.Auth, Products.Identity, Products.Statements],
};

export const identity: Walk = {
  through: "account numbers, owners of accounts and statements",
  async walk({ sdk, simulator, webhook, judged, arrived }) {
    const { public_token } = (await sdk.sandboxPublicTokenCreate({ ...NEW_ITEM, options: { webhook } })).data;
    const { access_token } = (await sdk.itemPublicTokenExchange({ public_token })).data;
    await simulator.control.advanceClock({ advance_s: 10 });

    const { numbers } = await judged("/auth/get", sdk.authGet({ access_token }));
    const account_id = numbers.ach[0]?.account_id ?? "";
    await judged(
      "/sandbox/item/set_verification_status",
      sdk.sandboxItemSetVerificationStatus({
        access_token,
        account_id,
        verification_status: Status.VerificationExpired,
      }),
    );
    const { numbers: left } = await judged("/auth/get", sdk.authGet({ access_token }));
    expect(left.ach).toHaveLength(numbers.ach.length - 1);

    const { accounts: owned } = await judged("/identity/get", sdk.identityGet({ access_token }));
    expect(owned[0]?.owners[0]?.names).toEqual(["Alberta Bobbeth Charleson"]);

    const issued = await judged("/statements/list", sdk.statementsList({ access_token }));
    const statement_id = issued.accounts[0]?.statements[0]?.statement_id ?? "";
    const range = { start_date: "2025-01-01", end_date: "2025-03-31" };
    await judged("/statements/refresh", sdk.statementsRefresh({ access_token, ...range }));
    await simulator.control.advanceClock({ advance_s: 5 });
    await judged("/statements/download", sdk.statementsDownload({ access_token, statement_id }));
    expect(await arrived()).toEqual([
      "AUTH/DEFAULT_UPDATE",
      "IDENTITY/DEFAULT_UPDATE",
      "STATEMENTS/STATEMENTS_REFRESH_COMPLETE",
      "AUTH/VERIFICATION_EXPIRED",
      "STATEMENTS/STATEMENTS_REFRESH_COMPLETE",
    ]);
  },
};
