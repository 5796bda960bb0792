/**
 * An arrival as bytes. What the spool itself needs has a fixed place, so that a file is read through without parsing it:
 *
 *   kind (1 byte), flags (1), id (16), time of arrival in ms (8), SHA-256 of the JWT (32), length of the JSON (4), the JSON, the body
 *
 * The JSON has the arrival's other fields; `{"$date": ms}` and `{"$bytes": base64}` stand for what JSON has not. The access token of an
 * item is sealed here, before it is written anywhere.
 */
import { TartanError } from "../errors.ts";
import { unprovenIdentity, type Arrival, type LinkedItem } from "../model/intake.ts";
import { FRAME_BYTES, PAYLOAD_MAX, PAYLOAD_MIN, seal } from "./frames.ts";

/** Seals and opens the tokens of items; a vault of integrations/ is one. */
export interface SpoolVault {
  seal(plain: string, context: string): Buffer;
  open(sealed: Buffer, context: string): string;
}

const KINDS: Record<Arrival["arrival"], number> = { webhook: 1, linked_item: 2, stale_notice: 3, unproven_webhook: 4 };
const HAS_TOKEN = 1;
const HAS_BODY = 2;
const AT = { id: 2, arrived: 18, token: 26, length: 58, json: PAYLOAD_MIN } as const;

/** What the spool reads of a record without parsing it. */
export interface Facts {
  /** UUID */
  id: string;
  /** ms */
  arrivedAt: number;
  /** what its JWT is known by, as latin1; null where there is none */
  token: string | null;
  /** a stale notice, which has no webhook of its own */
  isNotice: boolean;
}

/** What the arrival's JWT is known by; null for an arrival without one. */
export function tokenOf(arrival: Arrival): Buffer | null {
  if (arrival.arrival === "webhook") return arrival.proof?.tokenSha256 ?? null;
  if (arrival.arrival === "unproven_webhook") return unprovenIdentity(arrival);
  return arrival.arrival === "stale_notice" ? arrival.token.tokenSha256 : null;
}

/** @returns the record, with room for its marker @throws TartanError `invalid_request`, `vault_key_missing` where the token cannot be sealed */
export function encode(arrival: Arrival, { id, arrivedAt }: Facts, vault: SpoolVault): Buffer {
  const { body, ...rest } = {
    body: undefined,
    ...(arrival.arrival === "linked_item" ? sealed(arrival, id, vault) : arrival),
  };
  const json = Buffer.from(JSON.stringify(pack(rest)));
  const token = tokenOf(arrival);
  const record = Buffer.alloc(FRAME_BYTES + AT.json + json.length + (body?.length ?? 0));
  if (record.length - FRAME_BYTES > PAYLOAD_MAX)
    throw new TartanError("body_too_large", "The webhook is too large to be stored.");
  const payload = record.subarray(FRAME_BYTES);
  payload[0] = KINDS[arrival.arrival];
  payload[1] = (token ? HAS_TOKEN : 0) | (body ? HAS_BODY : 0);
  payload.write(id.replaceAll("-", ""), AT.id, 16, "hex");
  payload.writeDoubleBE(arrivedAt, AT.arrived);
  token?.copy(payload, AT.token, 0, 32);
  payload.writeUInt32BE(json.length, AT.length);
  json.copy(payload, AT.json);
  body?.copy(payload, AT.json + json.length);
  seal(record);
  return record;
}

const placeOf = (id: string): string => `spool:${id}:access_token`;

/** The item with its token sealed, and without a body that holds the token. */
function sealed({ accessToken, body, ...item }: LinkedItem, id: string, vault: SpoolVault) {
  return {
    ...item,
    sealed: vault.seal(accessToken, placeOf(id)),
    ...(body && !body.includes(accessToken) && { body }),
  };
}

/** @throws RangeError where the payload is none */
export function factsOf(payload: Buffer): Facts {
  const hex = payload.toString("hex", AT.id, AT.arrived);
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  const hasToken = ((payload[1] ?? 0) & HAS_TOKEN) !== 0;
  return {
    id,
    arrivedAt: payload.readDoubleBE(AT.arrived),
    token: hasToken ? payload.toString("latin1", AT.token, AT.length) : null,
    isNotice: payload[0] === KINDS.stale_notice,
  };
}

/**
 * The arrival that a payload holds.
 * @throws TartanError `vault_unsealable` where a token cannot be opened, `internal` for a kind that this version does not know
 */
export function decode(payload: Buffer, vault: SpoolVault): Arrival {
  if (!Object.values(KINDS).includes(payload[0] ?? 0))
    throw new TartanError("internal", "A record of the spool has a kind that this version of Tartan does not know.");
  const { id } = factsOf(payload);
  const end = AT.json + payload.readUInt32BE(AT.length);
  const fields = unpack(JSON.parse(payload.toString("utf8", AT.json, end))) as Record<string, unknown>;
  if (payload[0] !== KINDS.stale_notice) fields["id"] = id;
  if (((payload[1] ?? 0) & HAS_BODY) !== 0) fields["body"] = payload.subarray(end);
  if (payload[0] === KINDS.linked_item) {
    fields["accessToken"] = vault.open(fields["sealed"] as Buffer, placeOf(id));
    delete fields["sealed"];
  }
  return fields as unknown as Arrival;
}

/** The sealed token of a linked item; null where the payload is another kind. */
export function sealedTokenOf(payload: Buffer): Buffer | null {
  if (payload[0] !== KINDS.linked_item) return null;
  const json = payload.toString("utf8", AT.json, AT.json + payload.readUInt32BE(AT.length));
  return (unpack(JSON.parse(json)) as { sealed: Buffer }).sealed;
}

/** Without fields that are undefined, with dates and bytes in a form that JSON has. */
function pack(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Date) return { $date: value.getTime() };
  if (Buffer.isBuffer(value)) return { $bytes: value.toString("base64") };
  if (Array.isArray(value)) return value.map(pack);
  const packed: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(value)) packed[name] = pack(each);
  return packed;
}

function unpack(value: unknown): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(unpack);
  const { $date, $bytes } = value as { $date?: unknown; $bytes?: unknown };
  if (typeof $date === "number") return new Date($date);
  if (typeof $bytes === "string") return Buffer.from($bytes, "base64");
  for (const [name, each] of Object.entries(value)) (value as Record<string, unknown>)[name] = unpack(each);
  return value;
}
