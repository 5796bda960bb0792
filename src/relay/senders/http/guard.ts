/**
 * Keeps deliveries out of private networks. Users choose a destination's URL, and the owner of its name can change what the name
 * resolves to at any time, so the guard checks addresses when a connection is made: each address that the name resolves to,
 * and again the address that was connected to. The name is not resolved again between the check and the connection, so a
 * name that changes in between gains nothing.
 *
 * Only addresses of the public internet pass. Forms that embed another address (mapped, compatible, 6to4, Teredo, NAT64) do
 * not pass, with any embedded address. An operator can allow addresses and ranges, each in the form in which it is reached.
 */
import { isIP, type LookupFunction } from "node:net";
import { callbackify } from "node:util";
import ipaddr from "ipaddr.js";
import { TartanError } from "../../../errors.ts";
import { createResolver, type ResolvedAddress } from "./resolver.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

export interface Guard {
  /** Whether a connection to this address may be made. */
  allows(address: string): boolean;
  /**
   * Checks what a URL itself shows: a host that is an address, or a name of this machine.
   * @throws TartanError `invalid_request` with the field `url`
   */
  check(url: string | URL): void;
  /** For net.connect and tls.connect: yields only allowed addresses, and fails with AddressRefused if there are none. */
  lookup: LookupFunction;
}

interface GuardOptions {
  /** addresses and CIDR ranges that may be reached although they are not public */
  allow: readonly string[];
  /** yields all addresses of a name; by default from the hosts file and the name servers */
  lookup?: (hostname: string) => Promise<ResolvedAddress[]>;
}

/** A connection was not made, or was cut, because its address is not allowed. */
export class AddressRefused extends Error {
  override readonly name = "AddressRefused";
  readonly code = "ADDRESS_REFUSED";
}

/** 2000::/3 is the public internet. Every other IPv6 address is special or unassigned. */
const GLOBAL_UNICAST: Range = ipaddr.parseCIDR("2000::/3");

/** @throws TartanError `config_invalid` for an entry of `allow` that is neither an address nor a range */
export function createGuard({ allow, lookup = createResolver() }: GuardOptions): Guard {
  const ranges = allow.map(parseRange);
  const allows = (address: string): boolean => {
    if (isIP(address) === 0) return false;
    const parsed = ipaddr.parse(address);
    return isPublic(parsed) || ranges.some((range) => contains(range, parsed));
  };
  return { allows, check: (url) => checkHost(url, allows), lookup: guardedLookup(allows, singleFlight(lookup)) };
}

function isPublic(address: Address): boolean {
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || contains(GLOBAL_UNICAST, address);
}

const contains = (range: Range, address: Address): boolean =>
  range[0].kind() === address.kind() && address.match(range[0], range[1]);

function parseRange(text: string): Range {
  const [base = "", , more] = text.split("/");
  if (more === undefined && isIP(base) !== 0) {
    if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
    if (base === text) return [ipaddr.parse(text), isIP(text) === 4 ? 32 : 128];
  }
  const env = "TARTAN_RELAY_ALLOWED_ADDRESSES";
  const error = `"${text.slice(0, 80)}" is neither an address nor a CIDR range, such as 10.1.2.3 or 10.1.0.0/16`;
  throw new TartanError("config_invalid", `The configuration is not usable:\n  ${env}: ${error}`, {
    fields: { [env]: error },
  });
}

const LOCAL_NAME = /(^|\.)localhost\.?$/;

function checkHost(url: string | URL, allows: Guard["allows"]): void {
  // The URL parser has made 2130706433, 0177.0.0.1 and 0x7f.1 into 127.0.0.1 already.
  const { hostname } = typeof url === "string" ? new URL(url) : url;
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const addresses = isIP(host) !== 0 ? [host] : LOCAL_NAME.test(host) ? ["127.0.0.1", "::1"] : [];
  if (addresses.length === 0 || addresses.some(allows)) return;
  const error = `${hostname} is not on the public internet; TARTAN_RELAY_ALLOWED_ADDRESSES can allow it`;
  throw new TartanError("invalid_request", `This URL may not be delivered to: ${error}.`, { fields: { url: error } });
}

/** Connections that need the same name at once share one query. */
function singleFlight(
  lookup: (hostname: string) => Promise<ResolvedAddress[]>,
): (hostname: string) => Promise<ResolvedAddress[]> {
  const asked = new Map<string, Promise<ResolvedAddress[]>>();
  return (hostname) => {
    let answer = asked.get(hostname);
    if (answer === undefined) {
      answer = lookup(hostname).finally(() => asked.delete(hostname));
      asked.set(hostname, answer);
    }
    return answer;
  };
}

function guardedLookup(
  allows: Guard["allows"],
  lookup: (hostname: string) => Promise<ResolvedAddress[]>,
): LookupFunction {
  const allowed = callbackify(async (hostname: string): Promise<ResolvedAddress[]> => {
    const addresses = (await lookup(hostname)).filter(({ address }) => allows(address));
    if (addresses.length > 0) return addresses;
    throw new AddressRefused(`${hostname} resolves to no address that may be reached`);
  });
  return (hostname, options, callback) =>
    allowed(hostname, (error, addresses) => {
      const [first] = error ? [] : addresses;
      if (error || first === undefined) callback(error, "");
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
}
