/**
 * Runs the commands of one noun as real processes and remembers how each of its verbs ended: with its answer as text, with its answer
 * as JSON, or with a refusal. The last test of each file in commands/ compares that with the verbs that the noun has.
 */
import type { Command } from "commander";
import { expect, it } from "vitest";
import { COMMANDS } from "../../src/cli/commands/index.ts";
import { runTartan, startTartan, type Finished, type TartanProcess } from "../support/process.ts";

type Env = Record<string, string>;

/** A database that nobody serves. */
export const UNREACHABLE = { TARTAN_DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none" };
/** Destinations may be on this machine. */
export const LOOPBACK = { TARTAN_RELAY_ALLOWED_ADDRESSES: "127.0.0.1", TARTAN_RELAY_ALLOW_HTTP: "true" };

type Ending = "text" | "json" | "refusal";
const ENDINGS = { text: "answered as text", json: "run with --json", refusal: "refused" } as const;

/** The code of a refusal: that of a TartanError, or `usage` where the options themselves are wrong; null where it is neither. */
const codeOf = (stderr: string): string | null =>
  /^✗ [\s\S]*?\[([a-z_]+)\]$/m.exec(stderr)?.[1] ?? (stderr.startsWith("error: ") ? "usage" : null);

/**
 * Each method takes the words of a command. The words of the first text are parted by blanks, so that it reads as it is typed:
 * `text("items list --user", user)`.
 */
export class CommandLine {
  readonly noun: string;
  readonly #env: () => Env;
  readonly #runs: { args: string[]; ending: Ending }[];

  /** @param env is asked at each run */
  constructor(noun: string, env: () => Env = () => ({}), runs: { args: string[]; ending: Ending }[] = []) {
    this.noun = noun;
    this.#env = env;
    this.#runs = runs;
  }

  /** The same command line with more in its environment. */
  with(more: Env): CommandLine {
    return new CommandLine(this.noun, () => ({ ...this.#env(), ...more }), this.#runs);
  }

  /** Runs a command to its end, however it ends. */
  async run(first: string, ...rest: string[]): Promise<Finished> {
    const args = [...first.split(" "), ...rest];
    const ran = await runTartan(this.#env(), args);
    expect(ran.stderr, "no stack trace").not.toMatch(/^\s+at /m);
    if (ran.code === 0) this.#runs.push({ args, ending: args.includes("--json") ? "json" : "text" });
    else if (codeOf(ran.stderr) !== null) this.#runs.push({ args, ending: "refusal" });
    return ran;
  }

  /** All that a person reads, the answer first; the command must succeed. */
  async text(first: string, ...rest: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(first, ...rest);
    expect(code, stderr).toBe(0);
    return stdout + stderr;
  }

  /** The answer to the command with --json; it must succeed, and say nothing else on stdout. */
  async json<T = Record<string, unknown>>(first: string, ...rest: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(first, ...rest, "--json");
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  }

  /** The refusal of a command: status 1, nothing on stdout, and `code: sentence` with the lines behind it. */
  async refusal(first: string, ...rest: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(first, ...rest);
    expect([code, stdout], stderr).toEqual([1, ""]);
    return `${codeOf(stderr)}: ${stderr}`;
  }

  /** A command that goes on; `ready` finds its URL, or any text, in a line of its output. */
  async start(ready: (line: string) => string | null, first: string, ...rest: string[]): Promise<TartanProcess> {
    const args = [...first.split(" "), ...rest];
    const started = await startTartan(this.#env(), args, ready);
    this.#runs.push({ args, ending: args.includes("--json") ? "json" : "text" });
    return started;
  }

  /**
   * What no run of this command line ended with yet, such as `tartan items sync was not refused`.
   * @param alike verbs that one function makes: each must answer, and their other endings are run once for all of them
   */
  async missing(alike: readonly string[] = []): Promise<string[]> {
    const load = COMMANDS[this.noun];
    if (!load) throw new Error(`there is no noun ${this.noun}`);
    const noun = await load();
    const verbs = verbsOf(noun);
    const done = new Set(this.#runs.map(({ args, ending }) => `${verbIn(args, noun)} ${ending}`));
    const answered = alike.filter((verb) => done.has(`${verb} text`) || done.has(`${verb} json`));
    const isDone = (verb: string, ending: Ending): boolean =>
      [verb, ...(answered.includes(verb) ? answered : [])].some((each) => done.has(`${each} ${ending}`));
    return verbs.flatMap(({ verb, endings }) =>
      endings
        .filter((ending) => !isDone(verb, ending))
        .map((ending) => `tartan ${this.noun} ${verb} was not ${ENDINGS[ending]}`),
    );
  }
}

interface Verb {
  /** empty: the noun itself */
  verb: string;
  endings: Ending[];
}

type Acting = Command & { _actionHandler?: unknown };

function verbsOf(noun: Command): Verb[] {
  const acting = [noun, ...noun.commands].filter((command) => Boolean((command as Acting)._actionHandler));
  return acting.map((command) => {
    const hasJson = command.options.some(({ long }) => long === "--json");
    return {
      verb: command === noun ? "" : command.name(),
      endings: hasJson ? ["text", "json", "refusal"] : ["text", "refusal"],
    };
  });
}

/** The verb of the noun that these words run; empty: the noun itself; null: another noun. */
function verbIn([first, second]: readonly string[], noun: Command): string | null {
  if (first !== noun.name()) return null;
  return noun.commands.find((command) => command.name() === second)?.name() ?? "";
}

/** The last test of a noun's file: a verb that the file does not run fails here. */
export function everyVerbIsRun(cli: CommandLine, alike: readonly string[] = []): void {
  it(`the tests of \`tartan ${cli.noun}\` run every verb to its answer, with --json where it has that, and to a refusal`, async () => {
    expect(await cli.missing(alike)).toEqual([]);
  });
}
