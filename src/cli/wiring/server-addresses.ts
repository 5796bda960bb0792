/**
 * Where the servers of a data directory listen: each writes a small file there, so that a command finds them while Postgres, which
 * has the list of processes, is away. The file names no secret.
 *
 * A server writes its file when its door opens, and `tartan status` reads them.
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Config } from "../../config.ts";
import type { Logger } from "../../logger.ts";
import type { Closer } from "./closer.ts";

const Address = z.object({ pid: z.number(), host: z.string(), url: z.string(), roles: z.array(z.string()) });
type Address = z.infer<typeof Address>;

const Ready = z.object({
  status: z.enum(["ready", "not_ready"]),
  reasons: z.array(z.string()),
  degraded: z.array(z.string()),
  spool: z
    .object({
      state: z.string(),
      waiting: z.number(),
      bytes: z.number(),
      since: z.string().nullable(),
      oldest: z.string().nullable(),
      damaged: z.number(),
      problem: z.string().nullable(),
    })
    .nullable(),
});

/** A server that answers, as it describes itself. */
export type RunningServer = Address & { ready: z.infer<typeof Ready> };

/** Its answer needs no query of Postgres that takes longer. */
const ANSWER_MS = 4_000;

const folderIn = (dataDir: string): string => join(dataDir, "processes");

/** Announces this server in the data directory until the core is closed. One that cannot be announced works all the same. */
export async function announce(
  { config: { dataDir }, closer, logger }: { config: Pick<Config, "dataDir">; closer: Closer; logger: Logger },
  { url, roles }: { url: string; roles: readonly string[] },
): Promise<void> {
  const folder = folderIn(dataDir);
  const file = join(folder, `${hostname()}-${process.pid}.json`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await removeEnded(folder, url);
    await writeFile(file, `${JSON.stringify({ pid: process.pid, host: hostname(), url, roles })}\n`, { mode: 0o600 });
  } catch (error) {
    return logger.debug({ error }, "this process is not announced in the data directory");
  }
  closer.defer(() => rm(file, { force: true }));
}

/** Removes the files of processes of this machine that were killed, and of containers that had `url` before this process. */
async function removeEnded(folder: string, url: string): Promise<void> {
  for (const { file, address } of await readAll(folder)) {
    const isDead = address !== null && isOfThisHost(address) && !isAlive(address.pid);
    if (address === null || isDead || address.url === url) await rm(file, { force: true });
  }
}

const isOfThisHost = ({ host }: Address): boolean => host === hostname();

/**
 * A container that was killed leaves its file in the volume, and the next one has the same URL under another host name. Asked twice, its
 * server would count as two.
 */
function oneOfEachUrl(addresses: readonly Address[]): Address[] {
  const byUrl = new Map<string, Address>();
  for (const address of addresses)
    if (!byUrl.has(address.url) || (isOfThisHost(address) && isAlive(address.pid))) byUrl.set(address.url, address);
  return [...byUrl.values()];
}

async function readAll(folder: string): Promise<{ file: string; address: Address | null }[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const files = names.filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
  return await Promise.all(
    files.map(async (file) => {
      const text = await readFile(file, "utf8").catch(() => "");
      return { file, address: parse(Address, text) };
    }),
  );
}

function parse<T>(shape: z.ZodType<T>, text: string): T | null {
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The servers of the data directory that answer now, each as its /readyz says. Takes a few seconds at most. */
export async function askRunning(dataDir: string): Promise<RunningServer[]> {
  const addresses = (await readAll(folderIn(dataDir))).flatMap(({ address }) => address ?? []);
  const asked = oneOfEachUrl(addresses).map(async (address) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`${address.url}/readyz`, { signal }).catch(() => null);
    const ready = answer === null ? null : parse(Ready, await answer.text().catch(() => ""));
    return ready === null ? null : { ...address, ready };
  });
  return (await Promise.all(asked)).filter((server) => server !== null);
}
