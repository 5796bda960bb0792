/**
 * A receiver in a process of its own that costs little: it answers 200 to everything, as soon as a request's last byte is
 * there, and counts. Under /dead it never answers.
 */
import { fork, type ChildProcess } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Counts {
  /** requests that were answered */
  count: number;
  /** performance.timeOrigin + now() of the first and the last answer */
  firstAt: number;
  lastAt: number;
}

export interface ReceiverProcess extends AsyncDisposable {
  url: string;
  pid: number;
  counts(): Promise<Counts>;
  reset(): Promise<void>;
}

const now = (): number => performance.timeOrigin + performance.now();

function serve(): void {
  const counts: Counts = { count: 0, firstAt: 0, lastAt: 0 };
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    request.resume();
    if (request.url?.startsWith("/dead")) return;
    request.on("end", () => {
      response.writeHead(200, { "content-length": "2" }).end("ok");
      counts.lastAt = now();
      if (counts.count === 0) counts.firstAt = counts.lastAt;
      counts.count += 1;
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
  process.on("message", (asked) => {
    if (asked === "reset") Object.assign(counts, { count: 0, firstAt: 0, lastAt: 0 });
    process.send?.(counts);
  });
  process.on("disconnect", () => process.exit());
}

if (process.argv[2] === "receiver") serve();

export async function startReceiverProcess(): Promise<ReceiverProcess> {
  const child = fork(import.meta.filename, ["receiver"], { execArgv: ["--import", "tsx"] });
  const port = await answer<number>(child);
  const ask = async (what: string): Promise<Counts> => {
    const answered = answer<Counts>(child);
    child.send(what);
    return await answered;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    counts: () => ask("counts"),
    reset: async () => void (await ask("reset")),
    [Symbol.asyncDispose]: async () => void child.kill("SIGKILL"),
  };
}

const answer = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve, reject) => {
    const gone = () => reject(new Error("the receiver is gone"));
    child.once("exit", gone);
    child.once("message", (message) => {
      child.off("exit", gone);
      resolve(message as T);
    });
  });
