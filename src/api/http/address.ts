/** The URL of a server that listens on an address. */

/** These hosts mean all addresses of the machine; a client on the same machine uses the loopback address. */
const EVERY = new Set(["0.0.0.0", "::"]);

/** The URL for clients on this machine of a server that listens on `host`, a name or an address, and `port`. */
export function urlAt(host: string, port: number): string {
  const name = EVERY.has(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
