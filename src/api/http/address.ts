/** Where a server can be reached that listens on an address. */

/** Every address of the machine: a client on it uses the loopback one. */
const EVERY = new Set(["0.0.0.0", "::"]);

/** The URL for clients on this machine of a server that listens on `host`, a name or an address, and `port`. */
export function urlAt(host: string, port: number): string {
  const name = EVERY.has(host) ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}
