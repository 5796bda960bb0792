/**
 * The optional list of addresses that may post as Plaid. It proves nothing, since Plaid says that its addresses may change; the
 * signature is the proof.
 */
import { BlockList, isIP } from "node:net";
import { TartanError } from "../errors.ts";
import { PLAID_ADDRESSES } from "../plaid/addresses.ts";

/** An IPv4 address as a dual-stack socket reports it. */
const MAPPED = /^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i;

/**
 * Returns a function that says whether an address may post. `allowed` are addresses, CIDR ranges, or `plaid` for Plaid's four; empty
 * allows all.
 * @throws TartanError `config_invalid` naming every entry that is neither
 */
export function sourceCheck(allowed: readonly string[]): (address: string) => boolean {
  if (allowed.length === 0) return () => true;
  const entries = allowed.flatMap((entry) => (entry === "plaid" ? PLAID_ADDRESSES : [entry]));
  const { faults, has } = addressList(entries);
  if (faults.length === 0) return has;
  const message = `TARTAN_ALLOWED_SOURCES: ${faults.join(", ")}: neither an address, nor a CIDR range, nor \`plaid\`.`;
  throw new TartanError("config_invalid", message, { fields: { TARTAN_ALLOWED_SOURCES: message } });
}

export interface AddressList {
  /** entries that are neither an address nor a CIDR range */
  faults: string[];
  has(address: string): boolean;
}

/** Reads addresses and CIDR ranges. */
export function addressList(entries: readonly string[]): AddressList {
  const list = new BlockList();
  const faults = entries.filter((entry) => !add(list, entry));
  const has = (address: string): boolean => {
    const plain = address.replace(MAPPED, "");
    const version = isIP(plain);
    return version !== 0 && list.check(plain, version === 4 ? "ipv4" : "ipv6");
  };
  return { faults, has };
}

function add(list: BlockList, entry: string): boolean {
  const [address = "", bits, ...more] = entry.split("/");
  const version = isIP(address);
  if (version === 0 || more.length > 0) return false;
  const type = version === 4 ? "ipv4" : "ipv6";
  if (bits === undefined) {
    list.addAddress(address, type);
    return true;
  }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  list.addSubnet(address, Number(bits), type);
  return true;
}
