/**
 * Log lines: JSON on stderr, one an event, so that stdout stays free for what a command prints. Whatever could carry a
 * token or secret is cut by name here as a second wall; the first is that nobody logs payloads at all.
 */
import { pino, type DestinationStream, type Logger, type LoggerOptions } from "pino";
import { describeError } from "./errors.ts";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ["auto", "text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const SECRET_KEYS = [
  "access_token",
  "accessToken",
  "secret",
  "client_secret",
  "clientSecret",
  "webhook_secret",
  "webhookSecret",
  "public_token",
  "authorization",
  "masterKey",
  "password",
  "body",
];

/** Where log lines go, and in which form: to stderr. The formatter for people is loaded only where it is needed. */
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
  const options: LoggerOptions = {
    level,
    base: {},
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: "[cut]" },
    serializers: { err: describeError, error: describeError },
  };
  return pino(options, output);
}

/** For tests and embedding where nobody reads the lines. */
export const silentLogger: Logger = pino({ level: "silent" });
