/**
 * Log lines: JSON on stderr, one an event, so that stdout stays free for what a command prints. Whatever could carry a
 * token or secret is cut by name here as a second wall; the first is that nobody logs payloads at all.
 */
import { pino, type Logger, type LoggerOptions } from "pino";
import { describeError } from "./errors.ts";

export type { Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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

export function createLogger(level: LogLevel, bindings: Record<string, unknown> = {}): Logger {
  const options: LoggerOptions = {
    level,
    base: bindings,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`]), censor: "[cut]" },
    serializers: { err: describeError, error: describeError },
  };
  return pino(options, pino.destination({ dest: 2, sync: true }));
}

/** For tests and embedding where nobody reads the lines. */
export const silentLogger: Logger = pino({ level: "silent" });
