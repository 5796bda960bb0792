/** `tartan items statement`: fetches the file of a statement from Plaid. */
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { openStatementFile } from "../../../api/nouns/items/statement-file.ts";
import { TartanError } from "../../../errors.ts";
import { byUser } from "../../input/change.ts";
import { green, say, sayJson } from "../../output/print.ts";
import type { Core } from "../../wiring/core.ts";
import { openLinking } from "../../wiring/plaid-clients.ts";
import { knownItem } from "./known.ts";

interface Flags {
  output: string;
  reason?: string;
  json?: true;
}

export async function statement(core: Core, itemId: string, statementId: string, flags: Flags): Promise<void> {
  const { database, vault } = core;
  const item = await knownItem(database, itemId);
  const deps = { ...(await openLinking(core)), database, vault };
  const requested = { integrationId: item.integration_id, itemId, statementId };
  const file = await openStatementFile(deps, requested, byUser(flags.reason), AbortSignal.timeout(5 * 60_000));
  // Under its own name only when it is whole.
  const unfinished = `${flags.output}.part`;
  try {
    await pipeline(file.bytes, createWriteStream(unfinished, { flags: "wx", mode: 0o600 }));
    await rename(unfinished, flags.output);
  } catch (error) {
    file.bytes.destroy();
    if ((error as { code?: unknown }).code !== "EEXIST") await rm(unfinished, { force: true });
    throw unwritable(error, flags.output);
  }
  if (flags.json) return sayJson({ item_id: itemId, statement_id: statementId, file: flags.output });
  say(`${green("✓")} the statement is in ${flags.output}`);
}

function unwritable(error: unknown, output: string): unknown {
  const { syscall, code } = error as { syscall?: unknown; code?: unknown };
  if (syscall === undefined) return error;
  if (code === "EEXIST") {
    const left = `${output}.part is left from a fetch that was cut off, or belongs to one that still runs`;
    return new TartanError("invalid_request", `${left}; delete it.`, { cause: error, fields: { output: left } });
  }
  return new TartanError("invalid_request", `${output} cannot be written (${String(code)}); choose another --output.`, {
    cause: error,
    fields: { output: "cannot be written" },
  });
}
