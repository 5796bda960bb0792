import { expect, it } from "vitest";
import { openScene } from "../relay/scene.ts";
import { plantDeliveries } from "../relay/support.ts";
import { runTartan } from "../support/process.ts";

it("commands mark a count that was stopped, also before they delete", { timeout: 120_000 }, async () => {
  await using scene = await openScene();
  const { id } = await scene.destination({ url: "http://127.0.0.1:9" });
  await plantDeliveries(scene, id, 10_001);
  await plantDeliveries(scene, id, 10_001, "'dead', null, null");
  await scene.database.query("update relay.deliveries set finished_at = now() where status = 'dead'");
  const env = { TARTAN_DATABASE_URL: scene.databaseUrl, TARTAN_MASTER_KEY: scene.masterKey };
  const outputOf = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await runTartan(env, args);
    return stdout + stderr;
  };
  expect((await outputOf("destinations", "list")).match(/> 10000/g)).toHaveLength(2);
  expect((await outputOf("destinations", "show", id)).match(/> 10000/g)).toHaveLength(2);
  expect(await outputOf("destinations", "delete", id)).toContain("and cancels its > 10000 waiting deliveries");
  expect((await outputOf("status")).match(/> 10000/g)).toHaveLength(2);
  expect(await outputOf("dead-letters")).toMatch(/> 1000\b/);
  expect(await outputOf("destinations", "list")).not.toContain("10001");
});
