/**
 * How every connection of Tartan is made: session settings that results depend on, and how values come out of it.
 */
import { types as pgTypes, type ClientConfig, type CustomTypesConfig } from "pg";
import { TartanError } from "../errors.ts";

/** Dates, times and intervals are read in ISO form whatever the server's or the role's defaults are. */
const SESSION = "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres";

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

/** `options` of the URL are kept and come last, so that a user's own settings win. */
function withSession(url: string): string {
  try {
    const parsed = new URL(url);
    const own = parsed.searchParams.get("options");
    parsed.searchParams.set("options", own === null ? SESSION : `${SESSION} ${own}`);
    // A plus sign for a space is form encoding, which libpq does not know.
    parsed.search = parsed.searchParams.toString().replaceAll("+", "%20");
    return parsed.href;
  } catch {
    throw new TartanError(
      "config_invalid",
      "The database URL is not a URL of the form postgresql://user:password@host:port/database",
      {
        fields: { TARTAN_DATABASE_URL: "must be a postgresql:// URL" },
      },
    );
  }
}

export function clientConfig({ url, applicationName }: ConnectionOptions): ClientConfig {
  return {
    connectionString: withSession(url),
    application_name: applicationName,
    types,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 10_000,
    // A frozen process must not hold its locks for ever.
    idle_in_transaction_session_timeout: 120_000,
  };
}
