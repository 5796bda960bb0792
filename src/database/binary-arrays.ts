/**
 * Postgres arrays in Postgres' own binary form. A batch of webhooks travels as one array a column; written as text, every
 * byte of a body would become two hexadecimal digits with escapes to be built here and parsed there, and that costs
 * more than the insert. `pg` sends a Buffer as a binary parameter, so a Buffer in this form is an array to Postgres.
 *
 * The form (array_send in Postgres): dimensions, whether nulls may occur, element type, then length and lower bound of
 * the dimension, then each element as its length (-1 for null) and bytes; all big-endian 32-bit.
 */

const OID = { bytea: 17, int4: 23, text: 25, timestamptz: 1184, uuid: 2950 } as const;
const HEADER_BYTES = 20;
/** Postgres counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

type Values<T> = readonly (T | null | undefined)[];

/** Writes many arrays into one buffer that grows; a column is a slice of it. */
export class ArrayWriter {
  #buffer: Buffer;
  #at = 0;

  /** @param bytes first guess of what all arrays take together */
  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  text(values: Values<string>): Buffer {
    return this.#array(OID.text, values, (value) => {
      this.#reserve(4 + value.length * 3);
      const bytes = this.#buffer.write(value, this.#at + 4, "utf8");
      this.#buffer.writeInt32BE(bytes, this.#at);
      this.#at += 4 + bytes;
    });
  }

  bytea(values: Values<Buffer>): Buffer {
    return this.#array(OID.bytea, values, (value) => {
      this.#length(value.length);
      value.copy(this.#buffer, this.#at);
      this.#at += value.length;
    });
  }

  /** Canonical UUIDs: 36 characters with hyphens. */
  uuid(values: Values<string>): Buffer {
    return this.#array(OID.uuid, values, (value) => {
      this.#length(16);
      const bytes = this.#buffer.write(value.replaceAll("-", ""), this.#at, 16, "hex");
      if (bytes !== 16) throw new RangeError("not a UUID");
      this.#at += 16;
    });
  }

  timestamptz(values: Values<Date>): Buffer {
    return this.#array(OID.timestamptz, values, (value) => {
      this.#length(8);
      this.#buffer.writeBigInt64BE(BigInt(value.getTime() - POSTGRES_EPOCH_MS) * 1000n, this.#at);
      this.#at += 8;
    });
  }

  int4(values: Values<number>): Buffer {
    return this.#array(OID.int4, values, (value) => {
      this.#length(4);
      this.#buffer.writeInt32BE(value, this.#at);
      this.#at += 4;
    });
  }

  #array<T>(type: number, values: Values<T>, write: (value: T) => void): Buffer {
    const start = this.#at;
    this.#reserve(HEADER_BYTES);
    const header = [1, 1, type, values.length, 1];
    for (const word of header) this.#at = this.#buffer.writeInt32BE(word, this.#at);
    for (const value of values) {
      if (value == null) this.#length(-1);
      else write(value);
    }
    return this.#buffer.subarray(start, this.#at);
  }

  /** Writes an element's length and makes room for its bytes. */
  #length(bytes: number): void {
    this.#reserve(4 + Math.max(bytes, 0));
    this.#at = this.#buffer.writeInt32BE(bytes, this.#at);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
