/** What a loss of power and a failing disk do to the spool's files, and what is read from them afterwards. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { array, assert, asyncProperty, nat, oneof, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { frameAt, HEADER_BYTES, markerOf, nextFrame } from "../../src/spool/frames.ts";
import { factsOf } from "../../src/spool/record.ts";
import { Segment } from "../../src/spool/segment.ts";
import { until } from "../support/until.ts";
import { arrived, MemoryIntake, open, spoolRoot, type Root } from "./support.ts";

interface Written {
  bytes: Buffer;
  ids: string[];
  /** where the records begin, and the end of the last */
  starts: number[];
}

/** A segment as a spool writes it, with so many webhooks. */
async function written(root: Root, count: number): Promise<Written> {
  const inner = new MemoryIntake();
  inner.mode = "away";
  const given = Array.from({ length: count }, () => arrived());
  {
    await using opened = await open(root, inner);
    for (const each of given) await opened.spool.accept(each);
  }
  const bytes = await readFile((await root.files())[0] ?? "");
  const marker = markerOf(bytes)?.marker ?? Buffer.alloc(8);
  const starts = [HEADER_BYTES];
  for (let at = HEADER_BYTES; at < bytes.length; starts.push(at)) at = frameAt(bytes, at, marker)?.end ?? Number.NaN;
  return { bytes, ids: given.map(({ id }) => id), starts };
}

/** What is read from these bytes after a start; null where they are no segment. */
async function readBack(folder: string, bytes: Buffer) {
  const path = join(folder, `${randomUUID()}.segment`);
  await writeFile(path, bytes);
  const seen: string[] = [];
  const loaded = await Segment.load(path, 1, 0, ({ id }) => void seen.push(id));
  if (loaded === null) return null;
  const { segment, found } = loaded;
  const drained: string[] = [];
  while (segment.drained < segment.end) {
    const { frames, next } = await segment.read(segment.drained, 3, 1500);
    drained.push(...frames.map(({ payload }) => factsOf(payload).id));
    segment.advance(next, frames.length, null);
  }
  await segment.close();
  expect(drained).toEqual(seen);
  return { drained, found, waiting: segment.waiting, length: (await readFile(path)).length };
}

describe("a file of the spool", () => {
  test("cut at any byte of its last records, it holds each record before the cut, and the torn one is cut away", async () => {
    await using root = await spoolRoot();
    const { bytes, ids, starts } = await written(root, 5);
    const from = starts[3] ?? 0;
    for (let cut = from; cut <= bytes.length; cut += 1) {
      const whole = starts.filter((start) => start <= cut).length - 1;
      const end = starts[whole] ?? 0;
      expect(await readBack(root.path, bytes.subarray(0, cut))).toEqual({
        drained: ids.slice(0, whole),
        found: { torn: cut - end, damaged: 0 },
        waiting: 0,
        length: end,
      });
    }
  });

  test("with a bit flipped anywhere in its last record, it is damaged and not torn, and no byte of it is cut", async () => {
    await using root = await spoolRoot();
    const { bytes, ids, starts } = await written(root, 3);
    for (let at = starts[2] ?? 0; at < bytes.length; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      expect(await readBack(root.path, damaged)).toEqual({
        drained: ids.slice(0, 2),
        found: { torn: 0, damaged: 1 },
        waiting: 0,
        length: bytes.length,
      });
    }
  });

  test("whose only record has a flipped bit is kept, and reported", async () => {
    await using root = await spoolRoot();
    const { bytes, starts } = await written(root, 1);
    const [path = ""] = await root.files();
    bytes[(starts[0] ?? 0) + 30] = 0xff;
    await writeFile(path, bytes);
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    await until("the file is kept aside", async () => (await root.files(/^damaged$/)).length === 1);
    expect(opened.spool.status()).toMatchObject({ state: "straight", damaged: 1 });
    const [kept = ""] = await root.files(/^damaged$/);
    expect(await readFile(kept)).toEqual(bytes);
  });

  test("with bits flipped anywhere, it yields every record that is whole, in order, and no other", async () => {
    await using root = await spoolRoot();
    const { bytes, ids, starts } = await written(root, 12);
    const anywhere = nat({ max: bytes.length - 1 });
    const place = oneof({ arbitrary: anywhere, weight: 4 }, { arbitrary: nat({ max: HEADER_BYTES + 20 }), weight: 1 });
    const flips = array(record({ at: place, bit: nat({ max: 7 }) }), { minLength: 1, maxLength: 6 });
    await assert(
      asyncProperty(flips, async (given) => {
        const damaged = Buffer.from(bytes);
        for (const { at, bit } of given) damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        const whole = ids.filter((_, index) => {
          const [start = 0, end = 0] = starts.slice(index, index + 2);
          return damaged.subarray(start, end).equals(bytes.subarray(start, end));
        });
        const read = await readBack(root.path, damaged);
        const isHeaderLost = markerOf(damaged)?.isSure !== true;
        // Without a marker nothing can be found. The file is kept.
        if (read === null || isHeaderLost) {
          expect(read?.found.damaged ?? 1).toBeGreaterThan(0);
          return;
        }
        expect(read.drained).toEqual(whole);
        if (whole.length < ids.length) expect(read.found.damaged + read.found.torn).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test("a record inside a webhook's body is not found by the search behind damage", async () => {
    await using root = await spoolRoot();
    const { bytes } = await written(root, 1);
    const inner = new MemoryIntake();
    inner.mode = "away";
    await using other = await spoolRoot();
    const [outer, last] = [arrived({ body: Buffer.concat([bytes, bytes]) }), arrived()];
    {
      await using opened = await open(other, inner);
      await opened.spool.accept(outer);
      await opened.spool.accept(last);
    }
    const [path = ""] = await other.files();
    const damaged = await readFile(path);
    damaged[HEADER_BYTES + 20] = (damaged[HEADER_BYTES + 20] ?? 0) ^ 1;
    expect(nextFrame(damaged, HEADER_BYTES, markerOf(damaged)?.marker ?? Buffer.alloc(8))).not.toBeNull();
    await writeFile(path, damaged);
    inner.mode = "there";
    await using opened = await open(other, inner);
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual([last.id]);
  });

  test("damage in the middle is reported, what stands behind it is drained, and the file is kept", async () => {
    await using root = await spoolRoot();
    const { bytes, ids, starts } = await written(root, 8);
    const [path = ""] = await root.files();
    bytes[(starts[3] ?? 0) + 30] = 0xff;
    await writeFile(path, bytes);
    const inner = new MemoryIntake();
    await using opened = await open(root, inner);
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.ids).toEqual(ids.filter((_, index) => index !== 3));
    expect(opened.spool.status()).toMatchObject({ damaged: 1 });
    const [kept = ""] = await root.files(/^damaged$/);
    expect(await readFile(kept)).toEqual(bytes);
    expect(await root.files()).toEqual([]);
  });

  test("a file that is no segment, or of a later version, is kept and keeps nothing back", async () => {
    await using root = await spoolRoot();
    const { bytes } = await written(root, 2);
    const later = Buffer.from(bytes);
    const inner = new MemoryIntake();
    const folder = dirname((await root.files())[0] ?? "");
    await writeFile(join(folder, "00000002.segment"), "not a segment");
    await writeFile(join(folder, "00000003.segment"), later.fill(0, 0, HEADER_BYTES + 30));
    await mkdir(join(root.path, `p-${randomUUID()}`));
    await using opened = await open(root, inner);
    await until("it is drained", () => opened.spool.status().state === "straight");
    expect(inner.stored).toHaveLength(2);
    expect(await root.files(/^damaged$/)).toHaveLength(2);
  });
});
