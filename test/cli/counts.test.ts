import { expect, it } from "vitest";
import { plantDeliveries } from "../relay/support.ts";
import { startWorld } from "../support/world/index.ts";

it("commands mark a count that was stopped, also before they delete", { timeout: 120_000 }, async () => {
  await using world = await startWorld({ relay: {}, processes: {} });
  const { id } = await world.relay.destination({ url: "http://127.0.0.1:9" });
  await plantDeliveries(world, id, 10_001);
  await plantDeliveries(world, id, 10_001, "'dead', null, null");
  await world.database.query("update relay.deliveries set finished_at = now() where status = 'dead'");
  const outputOf = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await world.processes.run(args);
    return stdout + stderr;
  };
  expect((await outputOf("destinations", "list")).match(/> 10000/g)).toHaveLength(2);
  expect((await outputOf("destinations", "show", id)).match(/> 10000/g)).toHaveLength(2);
  expect(await outputOf("destinations", "delete", id)).toContain("and cancels its > 10000 waiting deliveries");
  expect((await outputOf("status")).match(/> 10000/g)).toHaveLength(2);
  expect(await outputOf("dead-letters")).toMatch(/> 1000\b/);
  expect(await outputOf("destinations", "list")).not.toContain("10001");
});
