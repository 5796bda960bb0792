/**
 * Runs transforms: users' JSONata expressions over events. An expression may loop, recurse without end, contain a regular
 * expression that backtracks forever, or allocate all memory. So transforms run in processes of their own, with bounds on time,
 * memory, depth and output, and without this process's environment. A thread is not enough: where a single allocation exceeds its
 * heap, V8 ends the whole process.
 *
 * A process: starting → idle → busy with one event → idle …; one whose expression exceeded its CPU time or memory is killed, and
 * another is started when there is work. A process measures the CPU time that it has used itself, so a busy machine, or this process
 * being blocked, is never mistaken for an expression that loops. A process that does not answer although it has used little is
 * replaced, and its event is tried again.
 *
 * At most two processes run, an expression occupies at most one of them, and the expression that has used the least time goes first.
 * So an expression that takes its full time on every event leaves a process to the others, and where several do, another expression
 * waits for one event at most.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { parse } from "node:path";
import { TartanError } from "../../errors.ts";
import { PROGRAM } from "./transform-program.ts";

export { checkTransform } from "./transform-rules.ts";

/** JSON text, or why there is none; the message holds nothing of the event. */
export type Transformed =
  | { json: string }
  | { cause: "transform_error" | "transform_timeout" | "transform_too_large"; message: string };

export interface Transforms extends AsyncDisposable {
  /**
   * What the expression makes of `source` (JSON text). The same expression and source yield the same JSON. Numbers are
   * doubles within JSONata: digits beyond their precision are lost.
   * @throws TartanError `internal` when transforms cannot be run at all, which says nothing about this one
   */
  run(expression: string, source: string): Promise<Transformed>;
}

interface TransformOptions {
  /** of CPU time; a process that has used three times as much is killed */
  timeoutMs?: number;
  memoryMb?: number;
  /** bytes of JSON */
  outputMax?: number;
}

interface Job {
  expression: string;
  source: string;
  /** processes that ended under it and did not say why */
  losses: number;
  resolve: (made: Transformed) => void;
  reject: (error: unknown) => void;
}

const PROCESSES_MAX = 2;
/** JSONata itself ends most of what takes too long; what it cannot see is killed when it has used so many times as much. */
const KILL_FACTOR = 3;
/** How long a process may take to start, and to answer, while this process is not blocked. */
const START_MS = 15_000;
const ANSWER_MS = 60_000;
const TICK_MS = 100;
const STACK_MAX = 500;
const SEQUENCE_MAX = 100_000;
const LOSSES_MAX = 2;
/** How V8 ends a process that is out of memory, by platform. */
const OUT_OF_MEMORY = new Set(["SIGABRT", "SIGTRAP", "SIGILL", "SIGSEGV", "SIGBUS"]);

/** Starts nothing yet. Disposing waits for what is under way, and not for what waits its turn. */
export function openTransforms(options: TransformOptions = {}): Transforms {
  const { timeoutMs = 250, memoryMb = 64, outputMax = 256 * 1024 } = options;
  return new TransformProcesses({ timeoutMs, memoryMb, outputMax });
}

/** An expression that was given events. */
interface Turn {
  jobs: Job[];
  /** ms, counted from where the others were when it came, so that a pause saves up nothing */
  spent: number;
}

class TransformProcesses implements Transforms {
  readonly #bounds: Required<TransformOptions>;
  readonly #turns = new Map<string, Turn>();
  readonly #processes = new Set<TransformProcess>();
  /** what the expression that ran last had spent */
  #floor = 0;
  #closed: (() => void) | null = null;

  constructor(bounds: Required<TransformOptions>) {
    this.#bounds = bounds;
  }

  async run(expression: string, source: string): Promise<Transformed> {
    if (this.#closed) throw stopping();
    return await new Promise((resolve, reject) => {
      this.#enqueue({ expression, source, losses: 0, resolve, reject });
      this.#pump();
    });
  }

  #enqueue(job: Job): void {
    const turn = this.#turns.get(job.expression) ?? { jobs: [], spent: 0 };
    if (turn.jobs.length === 0) turn.spent = Math.max(turn.spent, this.#floor);
    turn.jobs.push(job);
    this.#turns.set(job.expression, turn);
  }

  /** Of those that no process is busy with, a job of the one that has spent the least. */
  #next(): Job | null {
    const busy = new Set([...this.#processes].map(({ job }) => job?.expression));
    let next: Turn | null = null;
    for (const [expression, turn] of this.#turns) {
      if (busy.has(expression)) continue;
      if (turn.jobs.length === 0 && turn.spent <= this.#floor) this.#turns.delete(expression);
      else if (turn.jobs.length > 0 && (next === null || turn.spent < next.spent)) next = turn;
    }
    if (next === null) return null;
    this.#floor = Math.max(this.#floor, next.spent);
    return next.jobs.shift() ?? null;
  }

  #pump(): void {
    for (;;) {
      for (const process of this.#processes) if (process.ended && process.job === null) this.#processes.delete(process);
      const idle = [...this.#processes].find(({ job }) => job === null);
      if (!idle && this.#processes.size >= PROCESSES_MAX) return;
      const job = this.#next();
      if (!job) break;
      void this.#work(idle ?? this.#start(), job);
    }
    const isWaiting = [...this.#turns.values()].some(({ jobs }) => jobs.length > 0);
    if (!isWaiting && [...this.#processes].every(({ job }) => job === null)) this.#closed?.();
  }

  #start(): TransformProcess {
    const started = new TransformProcess(this.#bounds);
    this.#processes.add(started);
    return started;
  }

  async #work(process: TransformProcess, job: Job): Promise<void> {
    const began = performance.now();
    const outcome = await process.work(job);
    const turn = this.#turns.get(job.expression);
    if (turn) turn.spent += performance.now() - began;
    if (outcome !== "made nothing") job.resolve(outcome);
    else if (++job.losses < LOSSES_MAX) this.#enqueue(job);
    else job.reject(new TartanError("internal", "The process that runs transforms ended, and so did the next one."));
    this.#pump();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { jobs } of this.#turns.values()) for (const { reject } of jobs.splice(0)) reject(stopping());
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#pump();
    });
    await Promise.all([...this.#processes].map((process) => process.end()));
    this.#processes.clear();
  }
}

const stopping = (): TartanError =>
  new TartanError("internal", "Transforms are not run any more: this process is stopping.");

type Outcome = Transformed | "made nothing";

class TransformProcess {
  /** what it is busy with */
  job: Job | null = null;
  ended = false;
  readonly #bounds: Required<TransformOptions>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #gone: Promise<void>;
  #begun = false;
  #stopWaiting: () => void = () => undefined;
  #settle: (outcome: Outcome) => void = () => undefined;

  constructor(bounds: Required<TransformOptions>) {
    this.#bounds = bounds;
    this.#child = startProcess(bounds);
    this.#gone = new Promise((resolve) => {
      const end = (signal: string | null): void => {
        this.ended = true;
        this.#settle(this.#outcomeOf(signal));
        resolve();
      };
      this.#child.once("exit", (code, signal) => end(signal ?? (code !== null && code > 128 ? "SIGABRT" : null)));
      this.#child.on("error", () => end(null));
    });
    this.#ready = new Promise((resolve) => {
      this.#child.once("message", () => {
        this.#child.on("message", (made: Transformed) => this.#settle(made));
        resolve();
      });
    });
  }

  #outcomeOf(signal: string | null): Outcome {
    if (!this.#begun || signal === null) return "made nothing";
    const { timeoutMs } = this.#bounds;
    // Sent by the thread in it that measures its CPU time.
    if (signal === "SIGXCPU") return { cause: "transform_timeout", message: `it takes more than ${timeoutMs} ms` };
    if (!OUT_OF_MEMORY.has(signal)) return "made nothing";
    return { cause: "transform_too_large", message: `it takes more than ${this.#bounds.memoryMb} MB of memory` };
  }

  async work(job: Job): Promise<Outcome> {
    this.job = job;
    const outcome = await new Promise<Outcome>((resolve) => {
      this.#settle = resolve;
      this.#allow(START_MS);
      if (this.ended) resolve("made nothing");
      void this.#ready.then(() => this.#begin(job));
    });
    this.#stopWaiting();
    this.job = null;
    // A stopped expression may have left the memory nearly full, for which the next one would be blamed.
    if (outcome !== "made nothing" && "cause" in outcome && outcome.cause !== "transform_error") this.#kill();
    return outcome;
  }

  #begin({ expression, source }: Job): void {
    this.#begun = true;
    this.#allow(Math.max(ANSWER_MS, 2 * KILL_FACTOR * this.#bounds.timeoutMs));
    if (!this.ended) this.#child.send({ expression, source }, () => undefined);
  }

  /** A process that says nothing for so long is replaced. */
  #allow(ms: number): void {
    this.#stopWaiting();
    this.#stopWaiting = afterResponsive(ms, () => this.#kill());
  }

  #kill(): void {
    this.ended = true;
    this.#child.kill("SIGKILL");
    this.#settle("made nothing");
  }

  async end(): Promise<void> {
    if (!this.ended) this.#child.kill("SIGKILL");
    await this.#gone;
  }
}

/**
 * Calls `over` when this process has been able to run for `ms`. While it is blocked or stopped next to no time passes, and
 * messages that arrived meanwhile are handled first.
 * @param clock milliseconds that only grow, also while this process is stopped
 * @returns ends it before that
 */
export function afterResponsive(ms: number, over: () => void, clock = () => performance.now()): () => void {
  let left = ms;
  let last = clock();
  const timer = setInterval(() => {
    const now = clock();
    left -= Math.min(now - last, 2 * TICK_MS);
    last = now;
    if (left > 0) return;
    clearInterval(timer);
    over();
  }, TICK_MS);
  return () => clearInterval(timer);
}

function startProcess({ timeoutMs, memoryMb, outputMax }: Required<TransformOptions>): ChildProcess {
  const jsonata = createRequire(import.meta.url).resolve("jsonata");
  const cpuMs = KILL_FACTOR * timeoutMs;
  const bounds = { jsonata, timeoutMs, cpuMs, outputMax, stack: STACK_MAX, sequence: SEQUENCE_MAX };
  const args = [`--max-old-space-size=${memoryMb}`, "--max-semi-space-size=4", "-e", PROGRAM, JSON.stringify(bounds)];
  return spawn(process.execPath, args, {
    // Nothing of the environment: it holds keys. And nowhere to leave a core file.
    env: { TZ: "UTC" },
    cwd: parse(process.execPath).root,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    windowsHide: true,
  });
}
