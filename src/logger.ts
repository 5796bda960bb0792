/**
 * Log lines on stderr, one for each event, so that stdout stays free for the output of commands. The logger cuts tokens and
 * secrets out of every field (redaction.ts). That is the second protection; the first is that no code logs payloads.
 * What repeats while Postgres is away is said once a minute (log-repeats.ts).
 */
import { pino, type DestinationStream, type Logger, type LoggerOptions } from "pino";
import { describeError } from "./errors.ts";
import { openRepeats } from "./log-repeats.ts";
import { redact, redactText } from "./redaction.ts";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["auto", "text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Opens stderr in the form of `format`. The formatter for people is loaded only where it is needed. */
export async function openLogOutput(format: LogFormat): Promise<DestinationStream> {
  const forPeople = format === "text" || (format === "auto" && process.stderr.isTTY);
  if (!forPeople) return pino.destination({ dest: 2, sync: true });
  const { default: pretty } = await import("pino-pretty");
  const colorize = process.stderr.isTTY && !process.env["NO_COLOR"];
  return pretty({ destination: 2, sync: true, colorize, translateTime: "SYS:HH:MM:ss", singleLine: true });
}

export function createLogger(
  level: LogLevel,
  output: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  const repeats = openRepeats();
  const options: LoggerOptions = {
    level,
    base: {},
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }), log: redact },
    serializers: { err: describe, error: describe },
    hooks: {
      logMethod(args, method) {
        const said = repeats(args);
        if (said === null) return;
        const texts = said.map((arg: unknown) => (typeof arg === "string" ? redactText(arg) : arg));
        method.apply(this, texts as Parameters<typeof method>);
      },
    },
  };
  return redactingChildren(pino(options, output));
}

/** Pino does not apply its formatter of bindings to those of a child. */
function redactingChildren(logger: Logger): Logger {
  const { child } = logger;
  logger.child = function (this: Logger, bindings, options) {
    return child.call(this, redact(bindings), options);
  } as Logger["child"];
  return logger;
}

const describe = (error: unknown): unknown => redact({ error: describeError(error) })["error"];

/** A logger that discards its lines, for tests. */
export const silentLogger: Logger = pino({ level: "silent" });
