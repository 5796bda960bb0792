/** Transforms beside a machine or a process that stalls: what is slow for another's sake is never given up. */
import { expect, test, vi } from "vitest";
import { afterResponsive, openTransforms } from "../../../src/relay/content/transform.ts";
import { childrenOf } from "../../support/children.ts";

const SOURCE = '{"item_id":"item-1"}';
const onLinux = test.runIf(process.platform === "linux");

test("a process that is blocked while a transform runs does not count the time as the transform's", async () => {
  await using transforms = openTransforms({ timeoutMs: 50 });
  await transforms.run("1", SOURCE);
  const made = transforms.run("item_id", SOURCE);
  await new Promise(setImmediate);
  const until = performance.now() + 1000;
  while (performance.now() < until);
  expect(await made).toEqual({ json: '"item-1"' });
});

onLinux("a transform whose process waits for the machine is not taken for one that loops", async () => {
  const before = new Set(childrenOf(process.pid));
  await using transforms = openTransforms({ timeoutMs: 50 });
  await transforms.run("1", SOURCE);
  const [child = 0] = childrenOf(process.pid).filter((pid) => !before.has(pid));
  process.kill(child, "SIGSTOP");
  const made = transforms.run("item_id", SOURCE);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  process.kill(child, "SIGCONT");
  expect(await made).toEqual({ json: '"item-1"' });
});

onLinux("a transform whose process is killed from outside is run again and not given up", async () => {
  const before = new Set(childrenOf(process.pid));
  await using transforms = openTransforms();
  await transforms.run("1", SOURCE);
  const [child = 0] = childrenOf(process.pid).filter((pid) => !before.has(pid));
  process.kill(child, "SIGSTOP");
  const made = transforms.run("item_id", SOURCE);
  await new Promise(setImmediate);
  process.kill(child, "SIGKILL");
  expect(await made).toEqual({ json: '"item-1"' });
});

test("a timeout counts the time in which the process could run, and next to none of a stall", () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    let now = 0;
    let over = 0;
    /** The time that passes until this process comes to its next tick. */
    const pass = (ms: number) => {
      now += ms;
      vi.advanceTimersByTime(100);
    };
    const stopped = afterResponsive(
      1000,
      () => (over += 100),
      () => now,
    );
    stopped();
    afterResponsive(
      1000,
      () => (over += 1),
      () => now,
    );
    for (let ticks = 0; ticks < 5; ticks += 1) pass(100);
    // Half of the wait is left, and an hour's stall costs two ticks of it.
    pass(3_600_000);
    expect(over).toBe(0);
    pass(100);
    pass(100);
    expect(over).toBe(0);
    pass(100);
    expect(over).toBe(1);
    pass(3_600_000);
    expect(over).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});
