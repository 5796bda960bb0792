import { expect, test } from "vitest";
import { IntakeRefusal } from "../../src/receiver/refusal.ts";

test("a refusal costs no stack, and the errors behind it have theirs", () => {
  const refusal = new IntakeRefusal("webhook_unverified", "It is not proven.", { reason: "key_unknown" });
  expect(refusal.stack).toBe("IntakeRefusal: It is not proven.");
  expect(refusal.answer.stack).toBe("TartanError: It is not proven.");
  expect(new Error("later").stack).toContain("refusal.test");
});
