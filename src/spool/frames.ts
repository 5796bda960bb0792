/**
 * The form of a segment's bytes, and how its records are found again after damage.
 *
 *   segment  header, the same header again, records
 *   header   "TartanSP", version (4 bytes), marker (8), time of making (8), CRC-32 of these (4)
 *   record   marker (8 bytes), length of the payload (4), CRC-32 of the payload, begun with the length (4), payload
 *
 * The marker is random and each segment has its own. So a search for the next record behind damage finds no record in a webhook's
 * body: a sender who writes a record into a body does not know the marker.
 */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

const NAME = Buffer.from("TartanSP");
export const VERSION = 1;
const MARKER_BYTES = 8;
const COPY_BYTES = 32;
/** Where the records of a segment begin. */
export const HEADER_BYTES = 2 * COPY_BYTES;
/** What precedes the payload of a record. */
export const FRAME_BYTES = MARKER_BYTES + 8;
/** A webhook has at most 1 MiB; its JWT and the names in it are far smaller. */
export const PAYLOAD_MAX = 4 * 1024 * 1024;
/** What stands at fixed places in each; so zeros are no record. */
export const PAYLOAD_MIN = 62;

export interface Frame {
  /** where the record begins */
  at: number;
  /** where the next one begins */
  end: number;
  payload: Buffer;
}

/** The beginning of a new segment. */
export function newHeader(now: number): { header: Buffer; marker: Buffer } {
  const marker = randomBytes(MARKER_BYTES);
  const copy = Buffer.alloc(COPY_BYTES);
  NAME.copy(copy);
  copy.writeUInt32BE(VERSION, 8);
  marker.copy(copy, 12);
  copy.writeBigUInt64BE(BigInt(Math.max(0, Math.trunc(now))), 20);
  copy.writeUInt32BE(crc32(copy.subarray(0, 28)), 28);
  return { header: Buffer.concat([copy, copy]), marker };
}

/**
 * The marker of a segment. Where both copies of the header are damaged, what stands before the first record, if that one's checksum holds.
 * @returns null for a segment of another version, or without a place that can be read; `isSure` is false where the header is damaged
 */
export function markerOf(segment: Buffer): { marker: Buffer; isSure: boolean } | null {
  for (const from of [0, COPY_BYTES]) {
    const copy = segment.subarray(from, from + COPY_BYTES);
    if (copy.length < COPY_BYTES || copy.readUInt32BE(28) !== crc32(copy.subarray(0, 28))) continue;
    return copy.readUInt32BE(8) === VERSION ? { marker: copy.subarray(12, 20), isSure: true } : null;
  }
  const first = segment.subarray(HEADER_BYTES, HEADER_BYTES + MARKER_BYTES);
  const isWhole = first.length === MARKER_BYTES && frameAt(segment, HEADER_BYTES, first) !== null;
  return isWhole ? { marker: first, isSure: false } : null;
}

/** Writes length and checksum in front of the payload, which begins at FRAME_BYTES. The marker is written by `mark`. */
export function seal(record: Buffer): void {
  const payload = record.subarray(FRAME_BYTES);
  record.writeUInt32BE(payload.length, MARKER_BYTES);
  record.writeUInt32BE(crc32(payload, payload.length), MARKER_BYTES + 4);
}

/** A payload that was read, as a record again. */
export function recordOf(payload: Buffer): Buffer {
  const record = Buffer.concat([Buffer.alloc(FRAME_BYTES), payload]);
  seal(record);
  return record;
}

/** Joins records into what is appended to the segment with the marker. */
export function mark(records: readonly Buffer[], marker: Buffer): Buffer {
  for (const record of records) marker.copy(record);
  return records.length === 1 ? (records[0] as Buffer) : Buffer.concat(records);
}

/** The record at `at`; null if there is none that is whole. */
export function frameAt(bytes: Buffer, at: number, marker: Buffer): Frame | null {
  const from = at + FRAME_BYTES;
  if (from > bytes.length || bytes.compare(marker, 0, MARKER_BYTES, at, at + MARKER_BYTES) !== 0) return null;
  const length = bytes.readUInt32BE(at + MARKER_BYTES);
  if (length < PAYLOAD_MIN || length > PAYLOAD_MAX || from + length > bytes.length) return null;
  const payload = bytes.subarray(from, from + length);
  return crc32(payload, length) === bytes.readUInt32BE(at + MARKER_BYTES + 4)
    ? { at, end: from + length, payload }
    : null;
}

/**
 * Whether a record that frameAt refuses was written to its end: as much follows as its length says, or its checksum is right for what
 * follows. Bits of it flipped then. Of a torn one something is missing.
 */
export function isWhole(rest: Buffer): boolean {
  if (rest.length < FRAME_BYTES + PAYLOAD_MIN) return false;
  const length = rest.readUInt32BE(MARKER_BYTES);
  if (length >= PAYLOAD_MIN && length <= rest.length - FRAME_BYTES) return true;
  const payload = rest.subarray(FRAME_BYTES);
  return crc32(payload, payload.length) === rest.readUInt32BE(MARKER_BYTES + 4);
}

/** The first whole record at `from` or behind it; null if there is none. */
export function nextFrame(bytes: Buffer, from: number, marker: Buffer): Frame | null {
  for (let at = bytes.indexOf(marker, from); at !== -1; at = bytes.indexOf(marker, at + 1)) {
    const frame = frameAt(bytes, at, marker);
    if (frame) return frame;
  }
  return null;
}

/** Every whole record of a segment. */
export function* framesOf(segment: Buffer): Generator<Frame> {
  const marker = markerOf(segment)?.marker;
  if (!marker) return;
  let frame = nextFrame(segment, HEADER_BYTES, marker);
  while (frame) {
    yield frame;
    frame = nextFrame(segment, frame.end, marker);
  }
}
