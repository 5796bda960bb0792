import { pino } from "pino";
import { expect, it } from "vitest";
import { retryStart } from "../../../src/cli/wiring/retry-start.ts";
import { TartanError, type ErrorCode } from "../../../src/errors.ts";

const sqlState = (code: string): TartanError =>
  new TartanError("database_unavailable", "away", { cause: Object.assign(new Error("refused"), { code }) });

/** How a step ended that failed once with `failure`, and what was logged: `waited` is one more try. */
async function outcomeOf(failure: unknown, { open }: { open: boolean }): Promise<[string, number[]]> {
  const levels: number[] = [];
  const write = (line: string) => void levels.push((JSON.parse(line) as { level: number }).level);
  const { signal } = new AbortController();
  let tries = 0;
  const work = async (): Promise<string> => {
    tries += 1;
    if (tries === 1) throw failure;
    return "waited";
  };
  try {
    return [await retryStart(work, { logger: pino({}, { write }), signal, open }), levels];
  } catch {
    return ["ended", levels];
  }
}

it.each([
  ["Postgres away", new TartanError("database_unavailable", "away"), 40],
  ["a refused login", sqlState("28P01"), 50],
  ["a missing database", sqlState("3D000"), 50],
  ["an overloaded Postgres", new TartanError("overloaded", "busy"), 50],
  ["an unexpected error", new TypeError("unexpected"), 50],
  ["an internal error", new TartanError("internal", "unexpected"), 50],
  ["files that somebody can fix", new TartanError("config_invalid", "unreadable", { mayPass: true }), 50],
])("a start with an open door waits for %s", async (_what, error, level) => {
  expect(await outcomeOf(error, { open: true })).toEqual(["waited", [level]]);
});

it.each<ErrorCode>([
  "data_dir_in_use",
  "schema_too_new",
  "schema_too_old",
  "migration_failed",
  "vault_key_missing",
  "config_invalid",
])("a start with an open door ends at once with %s, which no waiting fixes", async (code) => {
  expect(await outcomeOf(new TartanError(code, "hopeless"), { open: true })).toEqual(["ended", []]);
});

it("a start with a closed door waits only for a Postgres that may come by itself", async () => {
  const away = new TartanError("database_unavailable", "away");
  const others = [sqlState("28P01"), sqlState("3D000"), new TypeError("unexpected")];
  expect(await outcomeOf(away, { open: false })).toEqual(["waited", [40]]);
  for (const error of others) expect(await outcomeOf(error, { open: false })).toEqual(["ended", []]);
});
