/**
 * Cursors of /transactions/sync: opaque to the caller, at most 256 base64 characters. A cursor holds its owner (Item and
 * account filter), where the loop began, how far it got, and up to which change it goes. A cursor between two pages is
 * valid only while nothing changes; a cursor that ended its loop stays valid.
 */
import { createHash } from "node:crypto";

export interface Position {
  base: number;
  position: number;
  head: number;
}

/** The owner of a cursor: an Item, one of its accounts or all (null), and the world's epoch. */
export interface CursorOwner {
  itemId: string;
  accountId: string | null;
  epoch: number;
}

const LENGTH = 32;
const SIGNED = 20;

const tag = (text: string): Buffer => createHash("sha256").update(text).digest();

/** the 8 bytes that bind a cursor to an Item and to the account it is filtered by */
const ownerTag = ({ itemId, accountId, epoch }: CursorOwner): Buffer =>
  tag(`${itemId}|${accountId ?? ""}${epoch === 0 ? "" : `|${epoch}`}`).subarray(0, 8);

const seal = (bytes: Buffer): Buffer =>
  createHash("sha256")
    .update("cursor")
    .update(bytes)
    .digest()
    .subarray(0, LENGTH - SIGNED);

export function writeCursor(owner: CursorOwner, at: Position): string {
  const bytes = Buffer.alloc(SIGNED);
  ownerTag(owner).copy(bytes);
  bytes.writeUInt32LE(at.base, 8);
  bytes.writeUInt32LE(at.position, 12);
  bytes.writeUInt32LE(at.head, 16);
  return Buffer.concat([bytes, seal(bytes)]).toString("base64");
}

/** The content of the cursor, or null when it is not this Item's (with this account filter). */
export function readCursor(owner: CursorOwner, cursor: string): Position | null {
  const raw = Buffer.from(cursor, "base64");
  if (raw.length !== LENGTH || raw.toString("base64") !== cursor) return null;
  const bytes = raw.subarray(0, SIGNED);
  if (!seal(bytes).equals(raw.subarray(SIGNED))) return null;
  if (!ownerTag(owner).equals(bytes.subarray(0, 8))) return null;
  return { base: bytes.readUInt32LE(8), position: bytes.readUInt32LE(12), head: bytes.readUInt32LE(16) };
}
