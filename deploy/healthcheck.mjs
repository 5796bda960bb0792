/**
 * Exits with 0 when the server in this container answers, and with 1 when it does not. It asks whether the process lives, not
 * whether Postgres does: restarting Tartan does not bring a database back.
 */
const { TARTAN_HOST: host = "", TARTAN_PORT: port = "" } = process.env;
const any = ["", "0.0.0.0", "::"].includes(host);
const address = any ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;

try {
  const answer = await fetch(`http://${address}:${/^\d+$/.test(port) ? port : 4400}/livez`, {
    signal: AbortSignal.timeout(4000),
  });
  process.exitCode = answer.ok ? 0 : 1;
} catch {
  process.exitCode = 1;
}
