/** Looks for the tokens of items that wait in the spools of a data directory, whose processes may be writing meanwhile. */
import { readFile } from "node:fs/promises";
import { keptForLater, segmentsOf } from "./folder.ts";
import { framesOf } from "./frames.ts";
import { factsOf, sealedTokenOf } from "./record.ts";

/**
 * The sealed tokens, each once. What is drained already may be among them, and what another process begins to write is not.
 * @throws the file system's own errors, other than that a file is gone
 */
export async function waitingTokens(root: string): Promise<Buffer[]> {
  const found = new Map<string, Buffer>();
  // A file moves from later to the folder of a process when that one starts, and what cannot be stored goes the other way.
  for (const list of [keptForLater, segmentsOf, keptForLater]) {
    for (const path of await list(root)) {
      for (const { payload } of framesOf(await readFile(path).catch(orGone))) {
        const sealed = sealedTokenOf(payload);
        if (sealed) found.set(factsOf(payload).id, Buffer.from(sealed));
      }
    }
  }
  return [...found.values()];
}

function orGone(error: NodeJS.ErrnoException): Buffer {
  if (error.code === "ENOENT") return Buffer.alloc(0);
  throw error;
}
