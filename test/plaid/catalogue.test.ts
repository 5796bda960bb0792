/** The catalogue of webhooks against Plaid's OpenAPI document, Plaid's SDK, and the resources. */
import { describe, expect, it, test } from "vitest";
import { CATALOGUE, knownWebhook, subjectRules, type KnownWebhook } from "../../src/plaid/catalogue.ts";
import { RESOURCES, resourcesOf, touches } from "../../src/resources/index.ts";
import type { Touch } from "../../src/resources/types.ts";
import { plaidWebhooks, type WebhookShape } from "../simulator/support/plaid-schema.ts";
import { sdkWebhooks } from "./sdk-webhooks.ts";

const document = plaidWebhooks();
const nameOf = ({ type, code }: { type: string; code: string }): string => `${type}/${code}`;
const fieldsOf = (webhook: KnownWebhook): string[] =>
  webhook.about.flatMap((rule) => ("field" in rule ? [rule.field] : []));

/** Each kind has one field in the bodies, or one id. */
const NAMED_BY: Record<string, string> = {
  item: "item_id",
  user: "user_id",
  institution: "institution_id",
  asset_report: "asset_report_id",
  link_session: "link_session_id",
  processor_account: "account_id",
  transfer_ledger: "= all",
  recurring_transfer: "recurring_transfer_id",
  originator: "originator_client_id",
  payment: "payment_id",
  payment_consent: "consent_id",
  wallet_transaction: "transaction_id",
  identity_verification: "identity_verification_id",
  screening: "screening_id",
  entity_screening: "entity_screening_id",
  issue: "issue_id",
  partner_customer: "end_customer_client_id",
};
/** Plaid says of these that they may lack the id of their subject. */
const MAY_LACK_ID = new Set([
  "ITEM/NEW_ACCOUNTS_AVAILABLE",
  "INCOME/INCOME_VERIFICATION",
  "INCOME/INCOME_VERIFICATION_RISK_SIGNALS",
  "INCOME/USER_INCOME_VERIFICATION",
  "INCOME/USER_INCOME_VERIFICATION_RISK_SIGNALS",
]);
/** Those that Plaid's documents do not describe. */
const UNDESCRIBED = new Set(["ITEM/AUTHORIZATION_GRANTED"]);

describe.each([
  ["Plaid's OpenAPI document", document?.shapes ?? null, 83],
  ["Plaid's SDK", sdkWebhooks(), 87],
])("%s", (_source, shapes: WebhookShape[] | null, pairs) => {
  test.skipIf(shapes === null)("describes no webhook that the catalogue lacks", () => {
    const described = new Set(shapes?.map(nameOf));
    expect(described.size).toBeGreaterThanOrEqual(pairs);
    expect([...described].filter((name) => !CATALOGUE.some((known) => nameOf(known) === name))).toEqual([]);
  });

  test.skipIf(shapes === null)("requires the id of the subject that the catalogue names, in each schema", () => {
    const faults = (shapes ?? []).flatMap((shape) => {
      const known = knownWebhook(shape.type, shape.code);
      const fields = known ? fieldsOf(known) : [];
      const having = MAY_LACK_ID.has(nameOf(shape)) ? shape.fields : shape.required;
      return fields.length === 0 || fields.some((field) => having.includes(field)) ? [] : [[shape.name, fields]];
    });
    expect(faults).toEqual([]);
  });

  test.skipIf(shapes === null)("has each id field of the catalogue in a schema of the same webhook", () => {
    const faults = CATALOGUE.flatMap((known) => {
      const same = (shapes ?? []).filter((shape) => nameOf(shape) === nameOf(known));
      const fields = fieldsOf(known).filter((field) => !same.some((shape) => shape.fields.includes(field)));
      return same.length > 0 && fields.length > 0 ? [[nameOf(known), fields]] : [];
    });
    expect(faults).toEqual([]);
  });
});

describe("the catalogue", () => {
  it("names each webhook once, and none of Plaid's that Plaid does not describe", () => {
    expect(new Set(CATALOGUE.map(nameOf)).size).toBe(CATALOGUE.length);
    const described = new Set(sdkWebhooks().map(nameOf));
    const invented = CATALOGUE.filter(({ sender }) => sender === "PLAID").map(nameOf);
    expect(invented.filter((name) => !described.has(name) && !UNDESCRIBED.has(name))).toEqual([]);
  });

  it("names a kind of subject by the field that holds its id, the same in all webhooks", () => {
    for (const known of CATALOGUE)
      for (const rule of known.about)
        expect([nameOf(known), rule.kind, "field" in rule ? rule.field : `= ${rule.id}`]).toEqual([
          nameOf(known),
          rule.kind,
          NAMED_BY[rule.kind],
        ]);
  });

  it("says of each webhook in one sentence what it means, and why nothing is read where it has no subject", () => {
    for (const { meaning, unread, about, type, code } of CATALOGUE) {
      expect(meaning).toMatch(/^[A-Z].{10,140}\.$/);
      if (unread !== null) expect(unread).toMatch(/^[A-Z].{10,140}\.$/);
      if (about.length === 0) expect([type, code, unread]).toEqual([type, code, expect.any(String)]);
    }
  });

  it("knows a webhook also by the code under which Plaid once sent it", () => {
    expect(knownWebhook("ITEM", "UPDATE_ACKNOWLEDGED")?.code).toBe("WEBHOOK_UPDATE_ACKNOWLEDGED");
    for (const [type, code] of [
      ["ITEM", "A_CODE_OF_NEXT_YEAR"],
      ["A_TYPE_OF_NEXT_YEAR", "ERROR"],
      ["ITEM", null],
      [null, null],
      ["constructor", "__proto__"],
    ] as const)
      expect(knownWebhook(type, code)).toBeUndefined();
  });

  it("takes a code that it does not know for one about what all others of its type are about, and else about the item", () => {
    const kinds = (type: string | null) => subjectRules(type, "NEXT_YEAR").map(({ kind }) => kind);
    expect(kinds("IDENTITY_VERIFICATION")).toEqual(["identity_verification"]);
    expect(kinds("TRANSACTIONS")).toEqual(["item", "processor_account"]);
    for (const type of ["TRANSFER", "INCOME", "PAYMENT_INITIATION", "NEXT_YEAR", null])
      expect(kinds(type)).toEqual(["item"]);
  });
});

describe("the resources and the catalogue", () => {
  const pairsOf = (touch: Touch): KnownWebhook[] => CATALOGUE.filter(({ type, code }) => touches([touch], type, code));

  it.each(RESOURCES.map((resource) => [resource.name, resource] as const))(
    "%s is read after webhooks of the catalogue that are about its kind of subject",
    (_name, { touchedBy, rereadAfter = [], subject }) => {
      for (const touch of [...touchedBy, ...rereadAfter]) {
        expect(pairsOf(touch)).not.toEqual([]);
        for (const code of [...(touch.codes ?? []), ...(touch.except ?? [])])
          expect([touch.type, code, knownWebhook(touch.type, code)?.code]).toEqual([touch.type, code, code]);
        const others = pairsOf(touch).filter(({ about }) => !about.some(({ kind }) => kind === subject.kind));
        expect(others.map(nameOf)).toEqual([]);
      }
    },
  );

  it("after each webhook about a mirrored kind of subject a resource is read, or the catalogue says why none is", () => {
    const read = ({ type, code, about }: KnownWebhook): boolean =>
      about.some(({ kind }) => resourcesOf(kind).some(({ touchedBy }) => touches(touchedBy, type, code)));
    const mirrored = CATALOGUE.filter(({ about }) => about.some(({ kind }) => resourcesOf(kind).length > 0));
    const silent = mirrored.filter((known) => !read(known) && known.unread === null);
    expect(silent.map(nameOf)).toEqual([]);
    expect(mirrored.filter((known) => read(known) && known.unread !== null).map(nameOf)).toEqual([]);
  });
});
