import { expect, it } from "vitest";
import { describeOptions } from "../../../src/config.ts";
import { CommandLine, everyVerbIsRun } from "../command-line.ts";

const SECRET = "a-secret-admin-key-of-the-test";
const cli = new CommandLine("config", () => ({ TARTAN_PORT: "4499", TARTAN_ADMIN_KEY: SECRET }));

it("`tartan config` prints each option with its value, but for secrets, and says that they are usable", async () => {
  const said = await cli.text("config");
  expect(said).toMatch(/TARTAN_PORT\s+4499\s+\S/);
  expect(said).toMatch(/TARTAN_HOST\s+127\.0\.0\.1\s+\S/);
  expect(said).toMatch(/TARTAN_ADMIN_KEY\s+\(set, not shown\)/);
  expect(said).toContain("✓ the options are usable");
  expect(said).not.toContain(SECRET);
});

it("`tartan config --json` has every option, set or not", async () => {
  const options = await cli.json<{ env: string; set: boolean }[]>("config");
  expect(options.map(({ env }) => env)).toEqual(describeOptions().map(({ env }) => env));
  expect(
    options
      .filter(({ set }) => set)
      .map(({ env }) => env)
      .toSorted(),
  ).toEqual(["TARTAN_ADMIN_KEY", "TARTAN_PORT"]);
});

it("`tartan config` refuses an option that is not usable, after it has shown the value", async () => {
  const { code, stdout, stderr } = await cli.with({ TARTAN_PORT: "abc" }).run("config");
  expect(code).toBe(1);
  expect(stdout).toMatch(/TARTAN_PORT\s+abc/);
  expect(stderr).toMatch(/\[config_invalid\]/);
  expect(stderr).toContain("TARTAN_PORT: must be a whole number from 0 to 65535");
});

everyVerbIsRun(cli);
