/**
 * Ids of what the relay keeps. Destinations, routes, signing keys and jobs have random ones, as integrations have;
 * deliveries are UUIDs inside and `dlv_` and the UUID's 32 hexadecimal digits outside.
 */
import { randomInt } from "node:crypto";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH = 24;

const newId = (prefix: string): string =>
  prefix + Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join("");

export const newDestinationId = (): string => newId("dst_");
export const newRouteId = (): string => newId("rte_");
export const newSigningKeyId = (): string => newId("sgk_");
export const newJobId = (): string => newId("job_");

const DELIVERY_ID = /^dlv_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** `0192…-…` → `dlv_0192…` */
export function toDeliveryId(uuid: string): string {
  return `dlv_${uuid.replaceAll("-", "")}`;
}

/** `dlv_0192…` → `0192…-…`, or null when it is not a delivery's id. */
export function fromDeliveryId(id: string): string | null {
  const parts = DELIVERY_ID.exec(id);
  return parts === null ? null : parts.slice(1).join("-");
}
