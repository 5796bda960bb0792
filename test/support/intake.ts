/** The Intake over Postgres, for tests that hand it webhooks only. */
import { randomBytes } from "node:crypto";
import type { Database } from "../../src/database/types.ts";
import { openVault } from "../../src/integrations/vault.ts";
import { openIntake } from "../../src/journal/intake.ts";
import type { Logger } from "../../src/logger.ts";
import type { Accepted, NewWebhook } from "../../src/model/webhook.ts";

export interface WebhookIntake extends AsyncDisposable {
  accept(webhook: NewWebhook): Promise<Accepted>;
  problem(): string | null;
}

export function openWebhookIntake(options: { database: Database; queueMax: number; logger: Logger }): WebhookIntake {
  const vault = openVault([randomBytes(32).toString("base64")]);
  const intake = openIntake({ ...options, vault });
  return {
    accept: (webhook) => intake.accept({ arrival: "webhook", ...webhook }),
    problem: () => intake.problem(),
    [Symbol.asyncDispose]: () => intake[Symbol.asyncDispose](),
  };
}
