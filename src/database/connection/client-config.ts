/**
 * The configuration of every connection, and how it parses values. A statement sets the settings of the session (limits.ts),
 * since a pooler rejects most of them at the start of a connection.
 */
import { types as pgTypes, type ClientConfig, type CustomTypesConfig } from "pg";
import { TartanError } from "../../errors.ts";
import { CONNECT_MS } from "./limits.ts";

const INT8 = 20;
const DATE = 1082;
const INT8_ARRAY = 1016;
const DATE_ARRAY = 1182;

/** int8 → number where that is exact, else the digits as a string; a count never grows that large. */
function parseInt8(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}

const asText = (text: string): string => text;
const parseTextArray = pgTypes.getTypeParser(1009 as never) as (text: string) => (string | null)[];
const parseInt8Array = (text: string) => parseTextArray(text).map((part) => (part === null ? null : parseInt8(part)));

const parsers = new Map<number, (text: string) => unknown>([
  [INT8, parseInt8],
  [DATE, asText],
  [INT8_ARRAY, parseInt8Array],
  [DATE_ARRAY, parseTextArray],
]);

/** numeric stays a string (money never passes through a float), timestamptz is a Date, jsonb is parsed. */
const types: CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    (format !== "binary" ? parsers.get(oid) : undefined) ??
    pgTypes.getTypeParser(oid, format as "text")) as CustomTypesConfig["getTypeParser"],
};

export interface ConnectionOptions {
  url: string;
  applicationName: string;
}

function checkUrl(url: string): void {
  if (URL.canParse(url)) return;
  throw new TartanError(
    "config_invalid",
    "The database URL is not a URL of the form postgresql://user:password@host:port/database",
    { fields: { TARTAN_DATABASE_URL: "must be a postgresql:// URL" } },
  );
}

export function clientConfig({ url, applicationName }: ConnectionOptions): ClientConfig {
  checkUrl(url);
  return {
    connectionString: url,
    application_name: applicationName,
    types,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: CONNECT_MS,
  };
}
