/**
 * What a process that runs transforms does. As text, so that it is the same whether Tartan runs from its sources, its build
 * or a bundle. Its arguments are JSON: where JSONata is, and the bounds.
 *
 * JSONata's own bounds end what loops or recurses; what they cannot see (a regular expression, one huge allocation) is ended
 * from outside. Time and chance are taken away before JSONata is loaded. A failure's text is a sentence of this file,
 * since JSONata's own messages quote the values that they are about.
 */
import { REFUSED_FUNCTIONS } from "./transform-rules.ts";

/** JSONata's codes → the sentence for users. */
const SENTENCES: Record<string, string> = {
  D1001: "a number is too large",
  D1002: "something that is no number is negated",
  D1004: "a regular expression matches an empty text",
  D1009: "two keys of an object are the same",
  D3030: "a value cannot be read as a number",
  D3010: "$replace is given an empty pattern",
  D3050: "$reduce is given a function of one argument",
  D3110: "$toMillis is given what is no ISO 8601 instant",
  D3136: "a picture of a date is not sufficient",
  D3137: "it calls $error",
  D3138: "$single finds more than one value",
  D3139: "$single finds no value",
  D3141: "an $assert does not hold",
  D1011: "it recurses too deep",
  T0410: "a function is given an argument of the wrong type",
  T0411: "a function is given an argument of the wrong type",
  T0412: "a function is given a list with members of the wrong type",
  T1003: "a key of an object is not a text",
  T1005: "what is called is not a function; has it lost its $?",
  T1006: "what is called is not a function",
  T2001: "the left side of an operator must be a number",
  T2002: "the right side of an operator must be a number",
  T2003: "a range does not begin with a whole number",
  T2004: "a range does not end with a whole number",
  T2007: "values of different types are sorted",
  T2008: "what is sorted by is neither a number nor a text",
  T2009: "a number and a text are compared",
  T2010: "what is compared is neither a number nor a text",
};

const CAUSES: Record<string, string> = {
  D1012: "transform_timeout",
  D2014: "transform_too_large",
  D2015: "transform_too_large",
};

export const PROGRAM = `
"use strict";
const { Worker } = require("node:worker_threads");
const bounds = JSON.parse(process.argv[1]);
const SENTENCES = ${JSON.stringify(SENTENCES)};
const CAUSES = ${JSON.stringify(CAUSES)};
const REFUSED = ${JSON.stringify(Object.keys(REFUSED_FUNCTIONS))};
const COMPILED_MAX = 200;

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
// The CPU time of this process at which the expression under way has used too much; 0: none is under way.
const limit = new Float64Array(new SharedArrayBuffer(8));
// However busy this thread is, another one looks after it: the process does not outlive the one that started it, and an
// expression does not use more than its CPU time. Waiting for a busy machine or for the process that started it costs none.
// It looks twice, so that what has just ended is not mistaken for what has just begun.
new Worker(
  "const { workerData: limit } = require('node:worker_threads'); const parent = " + process.ppid + "; let seen = 0;" +
  "setInterval(() => {" +
  "  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');" +
  "  const { user, system } = process.cpuUsage();" +
  "  const over = limit[0] > 0 && (user + system) / 1000 > limit[0] ? limit[0] : 0;" +
  "  if (over > 0 && over === seen) process.kill(process.pid, 'SIGXCPU');" +
  "  seen = over;" +
  "}, 100);",
  { eval: true, execArgv: [], workerData: limit, resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 } },
);
// A terminal sends its signals to all that runs in it; who ends this process is the one that started it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
process.on("disconnect", () => process.exit());

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length === 0 ? [0] : given));
  }
  // JSONata asks how long it has run, and is given what it has used: on a busy machine nothing fails for having waited.
  static now() {
    return cpuMs();
  }
};
Math.random = () => {
  throw failure("transform_error", "it asks for something random");
};
const jsonata = require(bounds.jsonata);

const failure = (cause, message) => ({ ours: { cause, message } });
const compiled = new Map();

function compile(expression) {
  let program = compiled.get(expression);
  if (program === undefined) {
    program = jsonata(expression, { timeout: bounds.timeoutMs, stack: bounds.stack, sequence: bounds.sequence });
    for (const name of REFUSED) {
      program.registerFunction(name, () => {
        throw failure("transform_error", "it uses $" + name);
      });
    }
    if (compiled.size >= COMPILED_MAX) compiled.delete(compiled.keys().next().value);
    compiled.set(expression, program);
  }
  return program;
}

const tooLarge = () => failure("transform_too_large", "its result is larger than " + bounds.outputMax + " bytes");

/** Counts what is written, so that a result which is too large is not made first. */
function write(result) {
  let least = 0;
  const json = JSON.stringify(result, function (key, value) {
    least += 1 + (Array.isArray(this) ? 0 : key.length) + (typeof value === "string" ? value.length : 0);
    if (least > bounds.outputMax) throw tooLarge();
    if (typeof value === "function" || value?._jsonata_lambda === true || value?._jsonata_function === true) {
      throw failure("transform_error", "its result holds a function");
    }
    if (typeof value === "number" && !Number.isFinite(value)) throw failure("transform_error", "a number is too large");
    return value;
  });
  if (json === undefined) throw failure("transform_error", "it selects nothing, so there is nothing to send");
  if (Buffer.byteLength(json) > bounds.outputMax) throw tooLarge();
  return { json };
}

function describe(error) {
  if (error?.ours !== undefined) return error.ours;
  const code = typeof error?.code === "string" ? error.code : null;
  const where = Number.isInteger(error?.position) ? ", at character " + error.position : "";
  if (code === "D1012") return { cause: CAUSES[code], message: "it takes more than " + bounds.timeoutMs + " ms" };
  if (code !== null && CAUSES[code]) return { cause: CAUSES[code], message: "it makes a list that is too long" + where };
  if (code !== null) return { cause: "transform_error", message: (SENTENCES[code] ?? "JSONata cannot go on") + " (" + code + ")" + where };
  if (error instanceof RangeError) return { cause: "transform_too_large", message: "it makes something that is too large or nested too deep" };
  return { cause: "transform_error", message: "JSONata cannot go on" };
}

process.on("message", async ({ expression, source }) => {
  let answer;
  limit[0] = cpuMs() + bounds.cpuMs;
  try {
    answer = write(await compile(expression).evaluate(JSON.parse(source)));
  } catch (error) {
    answer = describe(error);
  }
  limit[0] = 0;
  process.send(answer);
});
process.send("ready");
`;
