/** The proxies whose `X-Forwarded-For` is trusted. */
import { TartanError } from "../errors.ts";
import { addressList } from "../receiver/sources.ts";

/**
 * Fastify's `trustProxy`: whether a proxy with this address is trusted. Fastify's own reading of a list costs 4 µs each time.
 * @throws TartanError `config_invalid` naming every entry that is neither an address nor a CIDR range
 */
export function trustIn(entries: readonly string[]): false | ((address: string) => boolean) {
  const { faults, has } = addressList(entries);
  if (faults.length > 0) {
    const message = `TARTAN_TRUSTED_PROXIES: ${faults.join(", ")}: neither an address nor a CIDR range.`;
    throw new TartanError("config_invalid", message, { fields: { TARTAN_TRUSTED_PROXIES: message } });
  }
  return entries.length > 0 && rememberingLast(has);
}

/** Behind one proxy, all requests ask for its address. */
function rememberingLast(has: (address: string) => boolean): (address: string) => boolean {
  let last: { address: string; has: boolean } | null = null;
  return (address) => {
    if (address !== last?.address) last = { address, has: has(address) };
    return last.has;
  };
}
