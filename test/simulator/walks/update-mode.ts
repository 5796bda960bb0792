import { CountryCode, Products } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

const SESSION = { client_name: "Tartan", language: "en", country_codes: [CountryCode.Us] };

export const updateMode: Walk = {
  through: "update mode, hosted sessions and a user's logins",
  async walk({ sdk, simulator, judged }) {
    const { control } = simulator;
    const { user_id = "" } = (await sdk.userCreate({ client_user_id: "update-mode" })).data;
    const { items } = control.createItems({ count: 3, user_id, institution_id: "ins_109508" });
    const ids = items.map(({ item_id }) => item_id);
    const broken = () => ids.map((id) => control.item(id)["error_code"] !== null);

    await judged("/sandbox/user/reset_login", sdk.sandboxUserResetLogin({ user_id, item_ids: [ids[1] ?? ""] }));
    expect(broken()).toEqual([false, true, false]);
    expect((await refusal(sdk.sandboxUserResetLogin({ user_id, item_ids: ["nobody"] }))).error_code).toBe(
      "INVALID_FIELD",
    );
    await judged("/sandbox/user/reset_login", sdk.sandboxUserResetLogin({ user_id }));
    expect(broken()).toEqual([true, true, true]);

    /** in seconds, as the clock runs on */
    const lifeOf = ({ expiration }: { expiration: string }) =>
      Math.round((Date.parse(expiration) - Date.parse(control.clock().now)) / 10_000) * 10;
    const create = async (request: object) =>
      judged("/link/token/create", sdk.linkTokenCreate({ ...SESSION, ...request }));
    const named = await create({ user_id, update: { user: true, item_ids: ids.slice(0, 2) } });
    expect(named.user_id).toBe(user_id);
    control.completeLink({ link_token: named.link_token });
    expect(broken()).toEqual([false, false, true]);
    const newest = await create({ user_id, update: { user: true } });
    expect(control.completeLink({ link_token: newest.link_token }).item_id).toBe(ids[2]);
    expect((await refusal(create({ user_id, update: { user: true } }))).error_code).toBe("INVALID_FIELD");

    const [item] = items;
    const access_token = item?.access_token ?? "";
    const added = await create({ access_token, products: [Products.Liabilities] });
    expect(lifeOf(added)).toBe(1800);
    control.completeLink({ link_token: added.link_token });
    expect((await sdk.itemGet({ access_token })).data.item.products).toContain("liabilities");

    const hosted = await create({
      user: { client_user_id: "hosted" },
      products: [Products.Transactions],
      hosted_link: { url_lifetime_seconds: 3600 },
      enable_multi_item_link: true,
    });
    expect(hosted.hosted_link_url).toMatch(/^https:\/\/secure\.plaid\.com\/hl\//);
    expect(lifeOf(hosted)).toBe(3600);
  },
};
