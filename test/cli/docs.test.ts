/** The pages are true: their code is that of the examples, and their commands and options exist. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands/index.ts";
import { CHANGED_TABLES, EVENT_TYPES } from "../../src/events/event-types.ts";

const root = join(import.meta.dirname, "../..");
const docs = join(root, "docs");
const read = (file: string) => readFileSync(join(root, file), "utf8");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(docs).flatMap((file) => (file.endsWith(".md") ? [`docs/${file}`] : [])),
];

describe("the examples", () => {
  const shown: [page: string, example: string][] = [
    ["docs/receive.md", "express.ts"],
    ["docs/receive.md", "fastify.ts"],
    ["docs/move-behind-tartan.md", "plaid-handler.ts"],
    ["docs/changes.md", "copy-changes.ts"],
  ];

  it.each(shown)("%s shows docs/examples/%s unchanged", (page, example) => {
    expect(read(page)).toContain(`\`\`\`ts\n${read(`docs/examples/${example}`)}\`\`\``);
  });

  it("every example is shown on a page", () => {
    expect(readdirSync(join(docs, "examples")).toSorted()).toEqual(shown.map(([, example]) => example).toSorted());
  });
});

describe("the commands", async () => {
  const nouns = new Map<string, Command>();
  for (const [name, load] of Object.entries(COMMANDS)) nouns.set(name, await load());

  it.each(pages)("%s names only existing commands and options", (page) => {
    for (const words of commandsOf(read(page))) {
      let command = nouns.get(words[0] ?? "");
      expect(command, `tartan ${words.join(" ")}`).toBeDefined();
      for (const word of words.slice(1)) {
        const verb: Command | undefined = command?.commands.find((each) => each.name() === word);
        if (verb) command = verb;
        const options = [...(command?.options ?? []), ...(command?.parent?.options ?? [])];
        const flag = /^--[a-z-]+/.exec(word)?.[0];
        if (flag && flag !== "--help") {
          expect(
            options.map(({ long }) => long),
            `tartan ${words.join(" ")}`,
          ).toContain(flag);
        }
      }
      // A noun with verbs needs one, unless it does something by itself.
      if (command && command.commands.length > 0 && !actsAlone(command)) {
        expect(words, `tartan ${words.join(" ")} lacks a verb of those there are`).toEqual([words[0], "…"]);
      }
    }
  });
});

describe("the relay's page", async () => {
  const page = read("docs/relay.md");

  const changes = new Set<string>(CHANGED_TABLES.map(({ type }) => type));

  it.each(Object.keys(EVENT_TYPES).filter((type) => !changes.has(type)))(
    "the relay's page names the event %s",
    (type) => {
      expect(page).toContain(`\`${type}\``);
    },
  );

  it("the relay's page links to a page that names every event type", () => {
    expect(page).toContain("](events.md)");
    for (const type of Object.keys(EVENT_TYPES)) expect(read("docs/events.md")).toContain(`\`${type}\``);
  });

  const flags = new Set<string>();
  const collect = (command: Command): void => {
    for (const { long } of command.options) if (long) flags.add(long);
    for (const each of command.commands) collect(each);
  };
  for (const load of Object.values(COMMANDS)) collect(await load());

  it.each(["docs/relay.md", "docs/receive.md", "docs/move-behind-tartan.md", "docs/operations.md"])(
    "%s names only options that a command has",
    (file) => {
      for (const [flag] of read(file).matchAll(/(?<=[`\s(])--[a-z][a-z-]+/g)) expect(flags).toContain(flag);
    },
  );
});

const actsAlone = (command: Command) => Boolean((command as Command & { _actionHandler?: unknown })._actionHandler);

/** The words after `tartan` of each command in code, in lines or in a sentence; continued lines are one. */
function commandsOf(page: string): string[][] {
  const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, text = ""]) =>
    text.replaceAll("\\\n", " ").split("\n"),
  );
  const inline = [...page.replaceAll(/```[\s\S]*?```/g, "").matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);
  return [...blocks, ...inline].flatMap((line) => {
    const words = /^\s*(?:npx )?tartan ([^#|]+)/.exec(line)?.[1]?.trim().split(/\s+/);
    return words && words[0] !== "" ? [words] : [];
  });
}
