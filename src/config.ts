/**
 * Every option, declared once: environment name, type with its default, and one sentence. `--help`, the configuration
 * page and the parser all come from this table. Parsing reports all errors together, before anything listens.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { readEnvironment, type EnvironmentVariables, type ReadEnvironment } from "./environment.ts";
import { TartanError } from "./errors.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./logger.ts";
import { option, whole, type Option } from "./option.ts";

const list = z
  .string()
  .transform((text) => text.split(",").map((part) => part.trim()))
  .transform((parts) => parts.filter((part) => part !== ""));
const webUrl = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ""));

const EVENT_RETENTION_DAYS = 90;

export const OPTIONS = {
  databaseUrl: option(
    "TARTAN_DATABASE_URL",
    z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    "Your Postgres, 14 or newer. Without it, Tartan runs one of its own in the data directory.",
    { defaultText: "embedded", secret: true },
  ),
  databaseDirectUrl: option(
    "TARTAN_DATABASE_DIRECT_URL",
    z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    "The same database without the transaction-mode pooler of TARTAN_DATABASE_URL; for notifications, leases and migrations.",
    { defaultText: "TARTAN_DATABASE_URL", secret: true },
  ),
  databasePoolSize: option(
    "TARTAN_DATABASE_POOL_SIZE",
    whole(4, 200).default(16),
    "Connections to Postgres that one process may open, besides three for notifications, leases and checks.",
  ),
  dataDir: option(
    "TARTAN_DATA_DIR",
    z
      .string()
      .min(1)
      .default(".tartan")
      .transform((path) => resolve(path)),
    "The one folder that Tartan writes to. It holds the embedded Postgres and generated keys.",
    { defaultText: ".tartan" },
  ),
  host: option("TARTAN_HOST", z.string().min(1).default("127.0.0.1"), "The address to listen on."),
  port: option("TARTAN_PORT", whole(0, 65535).default(4400), "The port to listen on; 0 picks a free one."),
  publicUrl: option(
    "TARTAN_PUBLIC_URL",
    webUrl.optional(),
    "The URL at which Plaid and your backend reach this server; intake URLs begin with it.",
    { defaultText: "http://<host>:<port>" },
  ),
  masterKey: option(
    "TARTAN_MASTER_KEY",
    z.string().optional(),
    "32 bytes in base64 that seal tokens and secrets. While you rotate: the new key, a comma, the old key.",
    { defaultText: "generated into the data directory", secret: true },
  ),
  adminKey: option(
    "TARTAN_ADMIN_KEY",
    z.string().min(16).optional(),
    "The administrator's API key, at least 16 characters.",
    { defaultText: "generated, printed once", secret: true },
  ),
  simulatorPort: option(
    "TARTAN_SIMULATOR_PORT",
    whole(0, 65535).default(4410),
    "The port of the simulator in `tartan demo` and `tartan simulate`.",
  ),
  logLevel: option("TARTAN_LOG_LEVEL", z.enum(LOG_LEVELS).default("info"), "The lowest level that is logged."),
  logFormat: option(
    "TARTAN_LOG_FORMAT",
    z.enum(LOG_FORMATS).default("auto"),
    "The form of log lines: text, json, or auto (text in a terminal, json elsewhere).",
  ),
  acceptQueueMax: option(
    "TARTAN_ACCEPT_QUEUE_MAX",
    whole(1, 1_000_000).default(5000),
    "Webhooks that may wait for their commit in one process; when more come, the answer is 503.",
  ),
  spoolMaxMb: option(
    "TARTAN_SPOOL_MAX_MB",
    whole(0, 1_048_576).default(1024),
    "MiB of webhooks that one process keeps in files of the data directory while Postgres cannot take them; 0 keeps none, and " +
      "the answer is 503 then.",
  ),
  allowedSources: option(
    "TARTAN_ALLOWED_SOURCES",
    list.default([]),
    "Addresses or CIDR ranges that may post webhooks; `plaid` stands for Plaid's four. Empty: anyone may.",
    { defaultText: "anyone" },
  ),
  trustedProxies: option(
    "TARTAN_TRUSTED_PROXIES",
    list.default([]),
    "Addresses or CIDR ranges of your proxies; Tartan trusts their X-Forwarded-For.",
    { defaultText: "none" },
  ),
  keyFetchesPerMinute: option(
    "TARTAN_KEY_FETCHES_PER_MINUTE",
    whole(1, 10_000).default(60),
    "Unknown verification keys that one process may ask Plaid for in a minute, for each integration. Half as many again are reserved for keys and senders that are likely genuine.",
  ),
  quarantineDays: option(
    "TARTAN_QUARANTINE_DAYS",
    whole(0, 7).default(3),
    "Days for which a webhook waits unproven while its key cannot be fetched from Plaid; 0: such a webhook is answered 503.",
  ),
  quarantineMax: option(
    "TARTAN_QUARANTINE_MAX",
    whole(100, 10_000_000).default(50_000),
    "Unproven webhooks that may wait for each integration; a quarter of it for addresses that have sent no proven webhook recently.",
  ),
  quarantineMaxMb: option(
    "TARTAN_QUARANTINE_MAX_MB",
    whole(8, 100_000).default(64),
    "MiB that their bodies and JWTs may take for each integration, shared alike.",
  ),
  syncConcurrency: option(
    "TARTAN_SYNC_CONCURRENCY",
    whole(1, 256).default(8),
    "Subjects that one process syncs at the same time.",
  ),
  syncLeaseSeconds: option(
    "TARTAN_SYNC_LEASE_S",
    whole(1, 3600).default(60),
    "Seconds after which another worker may claim the subject of a silent one.",
  ),
  syncPollMs: option(
    "TARTAN_SYNC_POLL_MS",
    whole(10, 60_000).default(1000),
    "Milliseconds between polls for due subjects when no notification comes.",
  ),
  reconcileHours: option(
    "TARTAN_RECONCILE_H",
    z.coerce
      .number()
      .min(0)
      .max(24 * 90)
      .default(24),
    "Hours in which Tartan checks every linked item, and what else is free to read, once with Plaid, to find changes that no webhook announced; 0 turns checks off.",
    { defaultText: "24" },
  ),
  sentWebhooksMinutes: option(
    "TARTAN_SENT_WEBHOOKS_MIN",
    whole(0, 1440).default(10),
    "Minutes between two requests for the list of webhooks that Plaid sent, where Plaid has opened it to your client; 0 never asks.",
  ),
  plaidTimeoutSeconds: option(
    "TARTAN_PLAID_TIMEOUT_S",
    whole(1, 300).default(60),
    "Seconds that one request to Plaid may take.",
  ),
  plaidLimitFactor: option(
    "TARTAN_PLAID_LIMIT_FACTOR",
    z.coerce.number().positive().max(10_000).default(1),
    "Multiplies Plaid's published rate limits, if Plaid granted your client more.",
  ),
  journalRetentionDays: option(
    "TARTAN_JOURNAL_RETENTION_DAYS",
    whole(0, 36_500).default(0),
    "Days after which journaled webhooks are deleted, in whole weeks, once they are delivered; 0 keeps all. " +
      "No fewer than TARTAN_EVENT_RETENTION_DAYS.",
    { defaultText: "0 (keep all)" },
  ),
  journalBodyRetentionDays: option(
    "TARTAN_JOURNAL_BODY_RETENTION_DAYS",
    whole(1, 36_500).optional(),
    "Days after which the bodies and JWTs of journaled webhooks are deleted; their other fields and their SHA-256 stay. " +
      "No fewer than TARTAN_EVENT_RETENTION_DAYS.",
    { defaultText: "as long as the webhooks" },
  ),
  removedRowsRetentionDays: option(
    "TARTAN_REMOVED_ROWS_RETENTION_DAYS",
    whole(0, 36_500).default(0),
    "Days after which Tartan deletes rows of schema plaid that Plaid removed; 0 keeps them, with removed_at set.",
    { defaultText: "0 (keep all)" },
  ),
  auditRetentionDays: option(
    "TARTAN_AUDIT_RETENTION_DAYS",
    whole(0, 36_500).default(730),
    "Days after which rows of the audit log are deleted; 0 keeps all.",
  ),
  eventRetentionDays: option(
    "TARTAN_EVENT_RETENTION_DAYS",
    whole(1, 36_500).optional(),
    "Days after which events, finished deliveries and dead letters are deleted; what is still to be delivered is kept.",
    {
      defaultText: `${EVENT_RETENTION_DAYS}, or TARTAN_JOURNAL_RETENTION_DAYS where that is less`,
    },
  ),
  relayAllowedAddresses: option(
    "TARTAN_RELAY_ALLOWED_ADDRESSES",
    list.default([]),
    "Private or otherwise special addresses or CIDR ranges that deliveries may go to.",
    { defaultText: "public addresses only" },
  ),
  relayAllowHttp: option(
    "TARTAN_RELAY_ALLOW_HTTP",
    z
      .enum(["true", "false"])
      .default("false")
      .transform((text) => text === "true"),
    "Whether a destination may have an http URL. Others can read what is sent to one.",
  ),
  relayConcurrency: option(
    "TARTAN_RELAY_CONCURRENCY",
    whole(1, 16_384).default(1024),
    "Deliveries that one process sends at the same time, to all destinations together.",
  ),
  relayLeaseSeconds: option(
    "TARTAN_RELAY_LEASE_S",
    whole(5, 3600).default(45),
    "Seconds after which another process takes over the destinations of a silent one. It also waits until requests in flight must have ended.",
  ),
  relayStopSeconds: option(
    "TARTAN_RELAY_STOP_S",
    whole(0, 300).default(30),
    "Seconds that a stopping process waits for the answers to its requests. Then it cuts them, and the deliveries are sent again.",
  ),
  relayPollMs: option(
    "TARTAN_RELAY_POLL_MS",
    whole(10, 60_000).default(1000),
    "Milliseconds between polls for due deliveries when no notification comes.",
  ),
} as const;

type Parsed = { [K in keyof typeof OPTIONS]: z.output<(typeof OPTIONS)[K]["type"]> };
export type Config = Parsed & { eventRetentionDays: number };

const NAMES: readonly string[] = Object.values(OPTIONS).map(({ env }) => env);

/** The environment without variables that are certainly not for Tartan, and a sentence for each unknown `TARTAN_…` name. */
export const readTartanEnvironment = (env: EnvironmentVariables): ReadEnvironment => readEnvironment(env, NAMES);

/**
 * Reads the options from an environment. Empty values count as absent. An unknown name is not an error here; see
 * `readTartanEnvironment`.
 * @throws TartanError `config_invalid`, whose `fields` hold every error by environment name
 */
export function loadConfig(given: EnvironmentVariables): Config {
  const { env, notes } = readTartanEnvironment(given);
  const fields: Record<string, string> = {};
  const config: Record<string, unknown> = {};
  for (const [key, { env: name, type }] of Object.entries(OPTIONS)) {
    const parsed = type.safeParse(env[name] === "" ? undefined : env[name]);
    if (parsed.success) config[key] = parsed.data;
    else fields[name] = parsed.error.issues.map((issue) => issue.message).join("; ");
  }
  for (const [name, error] of Object.entries(contradictions(config as Partial<Parsed>))) fields[name] ??= error;
  if (Object.keys(fields).length > 0) {
    const lines = [...Object.entries(fields).map(([name, error]) => `${name}: ${error}`), ...notes];
    const text = lines.map((line) => `  ${line}`).join("\n");
    throw new TartanError("config_invalid", `The configuration is not usable:\n${text}`, { fields });
  }
  const parsed = config as Parsed;
  return { ...parsed, eventRetentionDays: parsed.eventRetentionDays ?? defaultEventRetention(parsed) };
}

/** Webhooks are events, too: where they are kept for a shorter time, so are all events. */
const defaultEventRetention = ({ journalRetentionDays: days = 0 }: Partial<Parsed>): number =>
  Math.min(days > 0 ? days : EVENT_RETENTION_DAYS, EVENT_RETENTION_DAYS);

/** Connections reserved for work that must not wait behind syncing: accepting webhooks, renewing leases, probes. */
export const reservedConnections = (poolSize: number): number => Math.min(4, Math.floor(poolSize / 4));

/** A run waits for Plaid most of the time, so a few runs share a connection. One more connection is for everything else. */
const RUNS_PER_CONNECTION = 4;

/** @returns option → why its value contradicts another option; options that could not be parsed are skipped */
function contradictions(config: Partial<Parsed>) {
  const { databasePoolSize, syncConcurrency, databaseUrl, databaseDirectUrl } = config;
  const fields: Record<string, string> = {};
  // Otherwise a client that reads events in time would miss deleted webhooks without an error.
  const { journalRetentionDays = 0, eventRetentionDays = 0 } = config;
  if (journalRetentionDays > 0 && journalRetentionDays < eventRetentionDays) {
    fields[OPTIONS.journalRetentionDays.env] =
      `${journalRetentionDays} is less than ${OPTIONS.eventRetentionDays.env}, which is ${eventRetentionDays}; webhooks are ` +
      `events too and must be kept as long; set ${OPTIONS.eventRetentionDays.env} to ${journalRetentionDays} as well`;
  }
  // Events hold more than webhooks do, so that they go sooner must be somebody's decision.
  const { journalBodyRetentionDays: bodies = Infinity } = config;
  const eventDays = config.eventRetentionDays ?? defaultEventRetention(config);
  if (bodies < eventDays) {
    fields[OPTIONS.journalBodyRetentionDays.env] =
      `${bodies} is less than ${OPTIONS.eventRetentionDays.env}, which is ${eventDays}` +
      `${config.eventRetentionDays === undefined ? " unless you set it" : ""}; webhooks are events too and ` +
      `cannot be sent without their bodies; set ${OPTIONS.eventRetentionDays.env} to ${bodies} as well`;
  }
  if (databasePoolSize !== undefined && syncConcurrency !== undefined) {
    const most = RUNS_PER_CONNECTION * (databasePoolSize - reservedConnections(databasePoolSize) - 1);
    const needed = Math.ceil(syncConcurrency / RUNS_PER_CONNECTION) + reservedConnections(200) + 1;
    if (syncConcurrency > most) {
      fields[OPTIONS.syncConcurrency.env] =
        `${syncConcurrency} runs at a time need a ${OPTIONS.databasePoolSize.env} of ${needed} or more; ` +
        `with ${databasePoolSize} connections at most ${most} can run`;
    }
  }
  if (databaseDirectUrl !== undefined && databaseUrl === undefined)
    fields[OPTIONS.databaseDirectUrl.env] = `needs ${OPTIONS.databaseUrl.env}, which is not set`;
  return fields;
}

/** The options as rows for help texts and the configuration page. */
export function describeOptions(): { env: string; defaultText: string; about: string; secret: boolean }[] {
  return Object.values(OPTIONS).map(({ env, type, about, defaultText, secret }: Option) => {
    const fallback = type.safeParse(undefined);
    const shown = defaultText ?? String(fallback.success ? fallback.data : "required");
    return { env, about, secret: secret === true, defaultText: shown };
  });
}
