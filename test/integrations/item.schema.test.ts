import { expect, test } from "vitest";
import { LinkedItem } from "../../src/integrations/item.schema.ts";
import { errorOf } from "../../src/model/validation.ts";
import { FIELD_MAX, storableText } from "../../src/plaid/webhooks.ts";

test("an access token may have as many characters as the intake reads of a field, and no more", () => {
  const [longest, longer] = [FIELD_MAX, FIELD_MAX + 1].map((length) => "x".repeat(length));
  expect([storableText(longest), errorOf(LinkedItem.shape.access_token, longest)]).toEqual([longest, null]);
  expect([storableText(longer), errorOf(LinkedItem.shape.access_token, longer)]).toEqual([
    null,
    `must be at most ${FIELD_MAX} characters`,
  ]);
});
