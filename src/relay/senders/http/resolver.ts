/**
 * Resolves the host names of destinations by asking the name servers directly (c-ares). The system's getaddrinfo occupies
 * one of the process's few threads until it answers, so a handful of names whose servers are silent would stop every other
 * name from being resolved, and every file from being read.
 *
 * As getaddrinfo does, it reads the hosts file first, and then applies the search list and `ndots` of resolv.conf. It does not
 * ask other sources of names (mDNS, NIS, plugins of nsswitch.conf).
 */
import { Resolver } from "node:dns/promises";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export interface ResolvedAddress {
  address: string;
  family: number;
}

export interface ResolverOptions {
  hostsFile?: string;
  resolvConf?: string;
  /** `address:port` of name servers; those of resolv.conf by default */
  servers?: readonly string[];
  /** of each question to a server */
  timeoutMs?: number;
}

/** A name without an address, or whose name servers gave no answer. */
export class NameNotResolved extends Error {
  override readonly name = "NameNotResolved";
  /** ENOTFOUND: the name does not exist; EAI_AGAIN: no name server answered */
  readonly code: "ENOTFOUND" | "EAI_AGAIN";

  constructor(hostname: string, found: "ENOTFOUND" | "EAI_AGAIN", cause?: unknown) {
    super(`${hostname} could not be resolved`, { cause });
    this.code = found;
  }
}

const HOSTS =
  process.platform === "win32"
    ? `${process.env["SystemRoot"] ?? "C:\\Windows"}\\System32\\drivers\\etc\\hosts`
    : "/etc/hosts";
const TIMEOUT_MS = 2000;
const TRIES = 2;
/** How long to wait for addresses of the second kind after the first kind has arrived (RFC 8305). */
const OTHER_FAMILY_MS = 50;
/** Addresses of localhost, which is never asked of a name server (RFC 6761). */
const LOOPBACK: ResolvedAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
/** Answers that mean that there is no such name, or no address of that kind. */
const ABSENT: ReadonlySet<unknown> = new Set(["ENOTFOUND", "ENODATA"]);

/** All addresses of a name, those of IPv4 first. @throws NameNotResolved */
export function createResolver({
  hostsFile = HOSTS,
  resolvConf = "/etc/resolv.conf",
  servers,
  timeoutMs = TIMEOUT_MS,
}: ResolverOptions = {}): (hostname: string) => Promise<ResolvedAddress[]> {
  const hosts = watched(hostsFile, parseHosts);
  const settings = watched(resolvConf, (text) => ({ ...parseResolvConf(text), resolver: newResolver() }));
  function newResolver(): Resolver {
    const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
    if (servers) resolver.setServers(servers);
    return resolver;
  }
  return async (hostname) => {
    const asked = hostname.toLowerCase().replace(/\.$/, "");
    const known = hosts().get(asked) ?? (asked === "localhost" ? LOOPBACK : undefined);
    if (known) return known;
    const { search, ndots, resolver } = settings();
    // A server that fails for one domain of the search list may know the other names.
    let failure: NameNotResolved | undefined;
    for (const name of candidates(hostname, search, ndots)) {
      const addresses = await query(resolver, name, hostname).catch((error: unknown) => {
        if (!(error instanceof NameNotResolved)) throw error;
        failure ??= error;
        return [];
      });
      if (addresses.length > 0) return addresses;
    }
    throw failure ?? new NameNotResolved(hostname, "ENOTFOUND");
  };
}

/** The names to ask for, in the order of resolv.conf(5). */
function candidates(hostname: string, search: readonly string[], ndots: number): string[] {
  if (hostname.endsWith(".")) return [hostname];
  const searched = search.map((domain) => `${hostname}.${domain}`);
  return hostname.split(".").length > ndots ? [hostname, ...searched] : [...searched, hostname];
}

/** @returns none where the name does not exist */
async function query(resolver: Resolver, name: string, hostname: string): Promise<ResolvedAddress[]> {
  const addresses: ResolvedAddress[][] = [[], []];
  const failures: unknown[] = [];
  const questions = [resolver.resolve4(name), resolver.resolve6(name)].map((question, at) =>
    question.then(
      (found) => {
        addresses[at] = found.map((address) => ({ address, family: at === 0 ? 4 : 6 }));
        return found.length > 0;
      },
      (error: NodeJS.ErrnoException) => {
        if (!ABSENT.has(error.code)) failures.push(error);
        return false;
      },
    ),
  );
  const all = Promise.all(questions);
  await Promise.race([all, anyTrue(questions).then(() => Promise.race([all, delay(OTHER_FAMILY_MS)]))]);
  const found = addresses.flat();
  if (found.length === 0 && failures.length > 0) throw new NameNotResolved(hostname, "EAI_AGAIN", failures[0]);
  return found;
}

/** Resolves when one of them is true; never when none is. */
const anyTrue = (answers: readonly Promise<boolean>[]): Promise<void> =>
  new Promise((resolve) => {
    for (const answer of answers) void answer.then((found) => found && resolve());
  });

/** The contents of a file, read again when it has changed. A missing file counts as empty. */
function watched<T>(path: string, parse: (text: string) => T): () => T {
  let seen = "";
  let value: T | undefined;
  return () => {
    const state = stateOf(path);
    if (value === undefined || state !== seen) value = parse(textOf(path));
    seen = state;
    return value;
  };
}

function stateOf(path: string): string {
  const state = statSync(path, { throwIfNoEntry: false });
  return state === undefined ? "none" : `${state.mtimeMs} ${state.size} ${state.ino}`;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function parseHosts(text: string): ReadonlyMap<string, ResolvedAddress[]> {
  const hosts = new Map<string, ResolvedAddress[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, "");
      hosts.set(key, [...(hosts.get(key) ?? []), { address, family }]);
    }
  }
  return hosts;
}

function parseResolvConf(text: string): { search: string[]; ndots: number } {
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "search" || keyword === "domain") search = values.map((domain) => domain.replace(/\.$/, ""));
    if (keyword !== "options") continue;
    const given = values.find((value) => /^ndots:\d{1,2}$/.test(value));
    if (given !== undefined) ndots = Math.min(15, Number(given.slice("ndots:".length)));
  }
  return { search: search.filter((domain) => domain !== ""), ndots };
}
