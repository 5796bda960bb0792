/** Accepts webhooks through the Intake over Postgres until it is killed; writes the id of each that is acknowledged on a line. */
import { writeSync } from "node:fs";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { openWebhookIntake } from "../support/intake.ts";
import { webhook } from "../support/webhook.ts";

const url = process.env["INTAKE_DATABASE_URL"] ?? "";
const database = await openDatabase({ url, poolSize: 4, applicationName: "intake child", logger });
const intake = openWebhookIntake({ database, queueMax: 1000, logger });

async function send(): Promise<never> {
  for (;;) writeSync(1, `${(await intake.accept(webhook())).id}\n`);
}

await Promise.all(Array.from({ length: 20 }, send));
