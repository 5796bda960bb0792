/**
 * A load generator that costs little: requests are ready-made bytes on raw keep-alive sockets, one under way on each.
 * What it takes from the two cores is taken from what is measured, so it parses no more of an answer than its status
 * and length.
 */
import { connect, type Socket } from "node:net";

export interface LoadResult {
  seconds: number;
  /** answers with 200 */
  ok: number;
  /** other answers by status */
  other: Record<number, number>;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** of the processor, that sending and reading took */
  cpuSeconds: number;
}

interface LoadOptions {
  url: string;
  requests: readonly Buffer[];
  connections: number;
  /** requests a second, sent at their due times whether or not earlier ones were answered; absent: as fast as answered */
  perSecond?: number;
}

/** Sends every request once and waits for its answer. */
export async function load({ url, requests, connections, perSecond }: LoadOptions): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const took = new Float64Array(requests.length);
  const statuses = new Map<number, number>();
  let next = 0;
  const began = performance.now();
  const cpuBefore = process.cpuUsage();

  const drive = async (): Promise<void> => {
    const socket = connect(Number(port), hostname).setNoDelay(true);
    const answers = answersOf(socket);
    for (let index = next++; index < requests.length; index = next++) {
      const due = perSecond === undefined ? performance.now() : began + (index * 1000) / perSecond;
      const early = due - performance.now();
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
      socket.write(requests[index] as Buffer);
      const status = await answers.next();
      took[index] = performance.now() - due;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, drive));

  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const sorted = took.toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const { 200: ok = 0, ...other } = Object.fromEntries(statuses) as Record<number, number>;
  return {
    seconds,
    ok,
    other,
    perSecond: ok / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSeconds: (user + system) / 1e6,
  };
}

const HEAD_END = Buffer.from("\r\n\r\n");

/** The statuses of a socket's answers, one at a time. */
export function answersOf(socket: Socket): { next(): Promise<number> } {
  let waiting: { resolve(status: number): void; reject(error: Error): void } | null = null;
  let pending = Buffer.alloc(0);
  const fail = (error: Error) => waiting?.reject(error);
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the server closed the connection")));
  socket.on("data", (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const headEnd = pending.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = pending.toString("latin1", 0, headEnd);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (pending.length < headEnd + 4 + length) return;
    pending = pending.subarray(headEnd + 4 + length);
    waiting?.resolve(Number(head.slice(9, 12)));
  });
  return { next: () => new Promise((resolve, reject) => (waiting = { resolve, reject })) };
}
