import { connect } from "node:net";
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { metrics } from "../../src/metrics.ts";
import { RefusalTurns } from "../../src/receiver/refusal-turns.ts";
import { startWorld } from "../support/world/index.ts";

test("eight refusals are answered in a turn of the event loop, in the order in which they came", async () => {
  const turns = new RefusalTurns();
  const answered: number[] = [];
  const refuse = async (number: number): Promise<void> => {
    await turns.next();
    answered.push(number);
  };
  const all = Array.from({ length: 20 }, (_, number) => refuse(number));
  const counts: number[] = [];
  while (answered.length < 20) {
    await Promise.resolve();
    counts.push(answered.length);
    await turn();
  }
  await Promise.all(all);
  expect(counts).toEqual([8, 16]);
  expect(answered).toEqual(answered.toSorted((a, b) => a - b));
});

test("a refusal that comes behind a thousand that wait is answered at once", async () => {
  const turns = new RefusalTurns();
  const waits = Array.from({ length: 1010 }, () => turns.next());
  expect(waits.slice(0, 8).every((wait) => wait === undefined)).toBe(true);
  expect(waits.slice(8, 1008).every((wait) => wait instanceof Promise)).toBe(true);
  expect(waits.slice(1008)).toEqual([undefined, undefined]);
  await Promise.all(waits);
  await turn();
  expect(turns.next()).toBe(undefined);
});

test("requests that are refused and arrive together are answered in several turns of the event loop", async () => {
  await using world = await startWorld({ receiver: {} });
  const { hostname, port } = new URL(world.receiver.url);
  const sockets = Array.from({ length: 64 }, () => connect(Number(port), hostname));
  const request = `POST ${world.receiver.path} HTTP/1.1\r\nHost: x\r\nPlaid-Verification: x\r\nContent-Length: 2\r\n\r\n{}`;
  const send = () =>
    Promise.all(
      sockets.map((socket) => {
        socket.write(request);
        return once(socket, "data");
      }),
    );
  // After the first answers the server has accepted every connection.
  await send();
  const counted = vi.spyOn(metrics.webhooksRefused, "inc");
  const answers = send();
  let [most, before] = [0, 0];
  while (before < sockets.length) {
    await turn();
    const now = counted.mock.calls.length;
    most = Math.max(most, now - before);
    before = now;
  }
  for (const [data] of await answers) expect(String(data)).toMatch(/^HTTP\/1.1 401/);
  for (const socket of sockets) socket.destroy();
  counted.mockRestore();
  // Of two turns at most, where the count is taken between them.
  expect(most).toBeLessThanOrEqual(16);
});
