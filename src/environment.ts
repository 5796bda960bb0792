/**
 * The `TARTAN_…` variables of an environment that are not options: Kubernetes adds some for each Service whose name begins
 * with `tartan`, and people mistype others. Tartan starts in both cases and reports them.
 */
import { suggestion } from "./suggest.ts";

export type EnvironmentVariables = Record<string, string | undefined>;

export interface ReadEnvironment {
  /** without the variables that Kubernetes added */
  env: EnvironmentVariables;
  /** one sentence each, for the person who starts Tartan */
  notes: string[];
}

/**
 * For a Service named tartan: TARTAN_SERVICE_HOST, TARTAN_SERVICE_PORT, TARTAN_SERVICE_PORT_HTTP, TARTAN_PORT=tcp://…,
 * TARTAN_PORT_4400_TCP, TARTAN_PORT_4400_TCP_ADDR; for one named tartan-simulator: TARTAN_SIMULATOR_SERVICE_HOST, ….
 */
const SERVICE = /^TARTAN(_\w+)?_SERVICE_(HOST|PORT(_\w+)?)$/;
const SERVICE_PORT = /^TARTAN(_\w+)?_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const SERVICE_URL = /^(tcp|udp|sctp):\/\//;

const isAdded = (name: string, value: string | undefined): boolean =>
  SERVICE.test(name) || SERVICE_PORT.test(name) || (/^TARTAN(_\w+)?_PORT$/.test(name) && SERVICE_URL.test(value ?? ""));

/** Removes the variables that Kubernetes added, and reports other names that are not in `options`. */
export function readEnvironment(env: EnvironmentVariables, options: readonly string[]): ReadEnvironment {
  const known = new Set(options);
  const added = Object.keys(env).filter((name) => isAdded(name, env[name]));
  const notes = Object.keys(env)
    .filter((name) => name.startsWith("TARTAN_") && !known.has(name) && !added.includes(name))
    .map((name) => unknown(name, options));
  if (added.length > 0) {
    notes.unshift(
      `Ignored ${added.join(", ")}, which Kubernetes adds for a Service of that name. Set enableServiceLinks: false in ` +
        "the pod's spec to be without them.",
    );
  }
  return { env: Object.fromEntries(Object.entries(env).filter(([name]) => !added.includes(name))), notes };
}

function unknown(name: string, options: readonly string[]): string {
  const meant = suggestion(
    name,
    options.map((option) => option.toLowerCase()),
  );
  const advice = meant === null ? "`tartan config` lists the options" : `did you mean ${meant.toUpperCase()}?`;
  return `${name} is not an option and was ignored; ${advice}${meant === null ? "." : ""}`;
}

/** Deletes the variables of libpq (PGSSLMODE, PGOPTIONS, PGUSER …), which are for a Postgres other than the embedded one. */
export function forgetLibpq(env: EnvironmentVariables): void {
  for (const name of Object.keys(env)) if (/^PG[A-Z]+$/.test(name)) delete env[name];
}
