import { expect, it } from "vitest";
import { openIntake } from "../../src/journal/intake.ts";
import { silentLogger } from "../../src/logger.ts";
import { NO_PRESSURE } from "../../src/model/pressure.ts";
import { webhook } from "../support/webhook.ts";
import { startWorld } from "../support/world/index.ts";

it("the intake reports with each batch how many webhooks are unanswered, those that wait behind it too", async () => {
  await using world = await startWorld({});
  const { database, vault } = world;
  const reported: number[] = [];
  const pressure = { ...NO_PRESSURE, batch: (webhooks: number) => void reported.push(webhooks) };
  await using intake = openIntake({ database, vault, queueMax: 1000, logger: silentLogger, pressure });
  const accepting = Array.from({ length: 250 }, () => intake.accept({ arrival: "webhook", ...webhook() }));
  await Promise.all(accepting);
  expect(reported[0]).toBe(250);
  await intake.accept({ arrival: "webhook", ...webhook() });
  expect(reported.at(-1)).toBe(1);
});
