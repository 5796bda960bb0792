/** Looks for the tokens of items that wait in the spools of a data directory, whose processes may be writing meanwhile. */
import { readFile } from "node:fs/promises";
import { keptForLater, segmentsOf } from "./folder.ts";
import { HEADER_BYTES, markerOf, nextFrame } from "./frames.ts";
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
      const bytes = await readFile(path).catch(orGone);
      const marker = markerOf(bytes)?.marker ?? null;
      let frame = marker && nextFrame(bytes, HEADER_BYTES, marker);
      for (; marker && frame; frame = nextFrame(bytes, frame.end, marker)) {
        const sealed = sealedTokenOf(frame.payload);
        if (sealed) found.set(factsOf(frame.payload).id, Buffer.from(sealed));
      }
    }
  }
  return [...found.values()];
}

function orGone(error: NodeJS.ErrnoException): Buffer {
  if (error.code === "ENOENT") return Buffer.alloc(0);
  throw error;
}
