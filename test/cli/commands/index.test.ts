/** That no noun of the command line is without tests. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { expect, it } from "vitest";
import { COMMANDS } from "../../../src/cli/commands/index.ts";

it.each(Object.keys(COMMANDS))(
  "the verbs of `tartan %s` have a file of tests that lists the ones it does not run",
  (noun) => {
    const file = join(import.meta.dirname, `${noun}.test.ts`);
    expect(existsSync(file), file).toBe(true);
    const text = readFileSync(file, "utf8");
    expect(text).toContain(`new CommandLine("${noun}"`);
    expect(text).toMatch(/^everyVerbIsRun\(\w+(, \[.*\])?\);$/m);
  },
);

it("each command and each of its options says in the help what it is for", async () => {
  const silent: string[] = [];
  const look = (command: Command, path: string): void => {
    if (command.description() === "") silent.push(path);
    for (const { long, description } of command.options.filter(({ hidden }) => !hidden)) {
      if (description === "") silent.push(`${path} ${long}`);
    }
    for (const each of command.commands) look(each, `${path} ${each.name()}`);
  };
  for (const [name, load] of Object.entries(COMMANDS)) look(await load(), `tartan ${name}`);
  expect(silent).toEqual([]);
});
