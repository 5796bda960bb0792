/**
 * Makes the connections of an HTTP destination: to an address that the guard allows and within a timeout of its own. It
 * always checks the certificate, and ignores NODE_TLS_REJECT_UNAUTHORIZED. A failure carries one of the relay's causes.
 */
import { readFileSync } from "node:fs";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import * as tls from "node:tls";
import type { buildConnector } from "undici";
import { AddressRefused, type Guard } from "./guard.ts";
import type { Cause } from "../../model/causes.ts";

export class ConnectFailed extends Error {
  override readonly name = "ConnectFailed";
  readonly code = "CONNECT_FAILED";
  readonly reason: Cause;

  constructor(reason: Cause, cause?: unknown) {
    super(`no connection: ${reason}`, { cause });
    this.reason = reason;
  }
}

interface ConnectorOptions {
  guard: Guard;
  /** PEM, trusted besides the authorities that Node knows */
  ca: string | null;
  /** from the look-up of the name to the end of the handshake */
  timeoutMs: number;
}

/** As undici defines it, but it returns the socket at once, so that the caller can end it early; null: refused at once. */
export type Connect = (options: buildConnector.Options, callback: buildConnector.Callback) => Socket | null;

type Phase = "tcp" | "tls" | "done";

export function createConnector({ guard, ca, timeoutMs }: ConnectorOptions): Connect {
  const openSocket = socketOpener(guard, ca);
  return (options, callback) => {
    const fail = (error: ConnectFailed): void => callback(error, null);
    // net.connect asks no resolver, and so not the guard, when the host is an address.
    if (isIP(options.hostname) !== 0 && !guard.allows(options.hostname)) {
      queueMicrotask(() => fail(new ConnectFailed("address_refused")));
      return null;
    }
    const secure = options.protocol === "https:";
    const socket = openSocket(options, secure);
    let phase: Phase = "tcp";
    const expire = (): void => {
      if (phase !== "done") socket.destroy(new ConnectFailed("connect_timeout"));
    };
    // setImmediate handles what has happened first: this process may have been busy for longer than the receiver was.
    const timer = setTimeout(() => setImmediate(expire), timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      if (!guard.allows(socket.remoteAddress ?? "")) {
        socket.destroy(new ConnectFailed("address_refused"));
        return;
      }
      phase = "done";
      callback(null, socket);
    };
    return socket
      .setNoDelay(true)
      .once("connect", () => (secure ? (phase = "tls") : done()))
      .once("secureConnect", done)
      .once("close", () => clearTimeout(timer))
      .on("error", (error) => {
        if (phase === "done") return;
        fail(error instanceof ConnectFailed ? error : new ConnectFailed(connectCause(error, phase), error));
        phase = "done";
      });
  };
}

function socketOpener(guard: Guard, ca: string | null) {
  // Made once: it takes milliseconds, since it reads every authority.
  const secureContext = tls.createSecureContext(ca === null ? {} : { ca: [...usualAuthorities(), ca] });
  let session: Buffer | undefined;
  return ({ hostname, port }: buildConnector.Options, secure: boolean): Socket => {
    const target = { host: hostname, port: Number(port) || (secure ? 443 : 80), lookup: guard.lookup };
    if (!secure) return connectTcp(target);
    return tls
      .connect({
        ...target,
        secureContext,
        servername: isIP(hostname) === 0 ? hostname.replace(/\.$/, "") : "",
        ALPNProtocols: ["http/1.1"],
        rejectUnauthorized: true,
        ...(session && { session }),
      })
      .on("session", (latest) => (session = latest));
  };
}

/**
 * The authorities that every destination trusts: Node's, and those of NODE_EXTRA_CA_CERTS, which Node adds to its own list
 * only.
 */
function usualAuthorities(): readonly string[] {
  // From Node 22.15 on.
  const { getCACertificates } = tls as { getCACertificates?: (type: "default") => string[] };
  if (getCACertificates) return getCACertificates("default");
  const extra = process.env["NODE_EXTRA_CA_CERTS"] ?? "";
  if (extra === "") return tls.rootCertificates;
  try {
    return [...tls.rootCertificates, readFileSync(extra, "utf8")];
  } catch {
    // Node has warned of a file that cannot be read when it started.
    return tls.rootCertificates;
  }
}

const UNREACHED: Record<string, Cause> = {
  ECONNREFUSED: "connect_refused",
  ECONNRESET: "connection_reset",
  EPIPE: "connection_reset",
  ETIMEDOUT: "connect_timeout",
  ENOTFOUND: "dns_failed",
};

function connectCause(error: NodeJS.ErrnoException, phase: Phase): Cause {
  if (error instanceof AddressRefused) return "address_refused";
  const known = UNREACHED[error.code ?? ""];
  if (phase === "tls") return known ?? "tls_failed";
  if (known !== undefined) return known;
  return error.syscall === "getaddrinfo" || error.code?.startsWith("EAI_") ? "dns_failed" : "network_unreachable";
}
