/**
 * The addresses on Plaid's page about webhooks. They prove nothing, since Plaid says that they may change; the signature is the proof. But
 * nobody else can answer from them, so no stranger can complete the handshake of a TCP connection under one.
 */
export const PLAID_ADDRESSES: readonly string[] = ["52.21.26.131", "52.21.47.157", "52.41.247.19", "52.88.82.239"];

/** As a dual-stack socket may report them. */
const SPELLINGS: ReadonlySet<string> = new Set(
  PLAID_ADDRESSES.flatMap((address) => [address, `::ffff:${address}`, `::FFFF:${address}`]),
);

/** Whether an address is one of Plaid's. */
export const isPlaidAddress = (address: string): boolean => SPELLINGS.has(address);
