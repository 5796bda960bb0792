import { Strategy } from "plaid";
import { expect } from "vitest";
import { refusal } from "../support/client.ts";
import type { Walk } from "./walk.ts";

export const verifications: Walk = {
  through: "verifications of identity, and screenings of people and firms",
  async walk({ sdk, simulator, judged, arrived }) {
    const { records } = simulator.control;
    const [template_id, client_user_id] = ["idvtmp_4FrXJvfQU3zGUR", "user-1"];
    const made = await judged(
      "/identity_verification/create",
      sdk.identityVerificationCreate({
        template_id,
        client_user_id,
        is_shareable: true,
        gave_consent: true,
        user: { name: { given_name: "Leslie", family_name: "Knope" }, date_of_birth: "1975-01-18" },
      }),
    );
    expect(made).toMatchObject({ status: "active", user: { name: { given_name: "Leslie" } } });
    records.change("identity_verification", made.id, { steps: 2 });
    records.change("identity_verification", made.id, { status: "failed" });
    const retried = await judged(
      "/identity_verification/retry",
      sdk.identityVerificationRetry({ client_user_id, template_id, strategy: Strategy.Reset }),
    );
    expect(retried.previous_attempt_id).toBe(made.id);
    records.change("identity_verification", retried.id, { steps: 6 });
    for (const [identity_verification_id, status] of [
      [made.id, "failed"],
      [retried.id, "success"],
    ] as const) {
      const found = await judged(
        "/identity_verification/get",
        sdk.identityVerificationGet({ identity_verification_id }),
      );
      expect(found).toMatchObject({ status, steps: { kyc_check: status } });
    }
    const { identity_verifications: list } = await judged(
      "/identity_verification/list",
      sdk.identityVerificationList({ template_id, client_user_id }),
    );
    expect(list.map(({ id }) => id)).toEqual([retried.id, made.id]);
    const unknown = sdk.identityVerificationGet({ identity_verification_id: "idv_nobody" });
    expect((await refusal(unknown)).error_code).toBe("INVALID_FIELD");

    const person = await judged(
      "/watchlist_screening/individual/create",
      sdk.watchlistScreeningIndividualCreate({
        search_terms: { watchlist_program_id: "prg_2eRPsDnL66rZ7H", legal_name: "Aleksey Potemkin" },
      }),
    );
    const id = { watchlist_screening_id: person.id };
    await judged(
      "/watchlist_screening/individual/update",
      sdk.watchlistScreeningIndividualUpdate({ ...id, search_terms: { country: "UA" } }),
    );
    records.change("screening", person.id, { add_hits: 14, review: "dismissed" });
    const read = await judged("/watchlist_screening/individual/get", sdk.watchlistScreeningIndividualGet(id));
    expect(read).toMatchObject({ status: "pending_review", search_terms: { country: "UA", version: 2 } });
    const hits: string[] = [];
    const pageOf = (cursor: string | null) =>
      judged("/watchlist_screening/individual/hit/list", sdk.watchlistScreeningIndividualHitList({ ...id, cursor }));
    let page = await pageOf(null);
    for (;;) {
      hits.push(...page.watchlist_screening_hits.map((hit) => hit.id));
      if (page.next_cursor === null) break;
      page = await pageOf(page.next_cursor);
    }
    expect(new Set(hits).size).toBe(15);
    const people = await judged(
      "/watchlist_screening/individual/list",
      sdk.watchlistScreeningIndividualList({ watchlist_program_id: "prg_2eRPsDnL66rZ7H" }),
    );
    expect(people.watchlist_screenings).toEqual([expect.objectContaining({ id: person.id })]);

    const search_terms = { entity_watchlist_program_id: "entprg_2eRPsDnL66rZ7H", legal_name: "Example Inc." };
    const firm = await judged(
      "/watchlist_screening/entity/create",
      sdk.watchlistScreeningEntityCreate({ search_terms }),
    );
    const entity = { entity_watchlist_screening_id: firm.id };
    records.change("entity_screening", firm.id, { add_hits: 1 });
    await judged(
      "/watchlist_screening/entity/update",
      sdk.watchlistScreeningEntityUpdate({ ...entity, status: "rejected" as never }),
    );
    const rejected = await judged("/watchlist_screening/entity/get", sdk.watchlistScreeningEntityGet(entity));
    expect(rejected.status).toBe("rejected");
    const found = await judged("/watchlist_screening/entity/hit/list", sdk.watchlistScreeningEntityHitList(entity));
    expect(found.entity_watchlist_screening_hits.length).toBeGreaterThan(0);
    const firms = await judged(
      "/watchlist_screening/entity/list",
      sdk.watchlistScreeningEntityList({ entity_watchlist_program_id: "entprg_2eRPsDnL66rZ7H" }),
    );
    expect(firms.entity_watchlist_screenings).toHaveLength(1);
    expect([...new Set(await arrived())].toSorted()).toEqual([
      "ENTITY_SCREENING/STATUS_UPDATED",
      "IDENTITY_VERIFICATION/RETRIED",
      "IDENTITY_VERIFICATION/STATUS_UPDATED",
      "IDENTITY_VERIFICATION/STEP_UPDATED",
      "SCREENING/STATUS_UPDATED",
    ]);
  },
};
