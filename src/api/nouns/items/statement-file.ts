/**
 * The file of a statement, on request: Tartan asks Plaid for it, within Plaid's limits, and passes it on while it comes. It keeps
 * nothing of it, but for the line in the audit log that says who fetched which.
 */
import { Readable } from "node:stream";
import { audit } from "../../../audit/audit.ts";
import { TartanError } from "../../../errors.ts";
import { getItemSecret } from "../../../integrations/items.ts";
import type { Change } from "../../../model/change.ts";
import { PlaidError } from "../../../plaid/errors.ts";
import type { PlaidFile } from "../../../plaid/client.ts";
import { createLimiter } from "../../../sync/limiter.ts";
import { fromPlaid } from "../../http/answers.ts";
import type { ApiDeps } from "../../http/operation.ts";
import { STATEMENT } from "./statement-queries.ts";

const ENDPOINT = "/statements/download";
/** A request waits this long for Plaid's rate limits at most; then it is refused with `Retry-After`. */
const MAX_WAIT_MS = 5000;

export type StatementDeps = Pick<ApiDeps, "database" | "vault" | "directory" | "clientFor" | "clock" | "limitFactor">;

export interface RequestedStatement {
  integrationId: string;
  itemId: string;
  statementId: string;
}

export interface StatementFile extends Pick<PlaidFile, "contentType" | "length"> {
  /** such as `statement-2026-10-0000.pdf` */
  name: string;
  bytes: Readable;
}

/**
 * Begins to fetch the file of a statement that the mirror lists.
 * @throws TartanError `not_found` (statement), `conflict` (no token), `overloaded` (rate limit, with the time to wait), `plaid_error`,
 *   `plaid_unreachable`, with which `bytes` also end where they break off
 */
export async function openStatementFile(
  deps: StatementDeps,
  requested: RequestedStatement,
  change: Change,
  signal: AbortSignal,
): Promise<StatementFile> {
  const { database, vault, directory, clientFor } = deps;
  const { integrationId, itemId, statementId } = requested;
  const { rows } = await database.query<Named>(STATEMENT, [integrationId, itemId, statementId]);
  const [named] = rows;
  if (!named) throw noStatement(requested);
  const secret = await getItemSecret(database, vault, integrationId, itemId);
  const integration = await directory.find(integrationId);
  if (!secret || !integration) throw noToken(itemId);
  const fetching = (): Promise<PlaidFile> => {
    const body = { access_token: secret.access_token, statement_id: statementId };
    return clientFor(integration).file(ENDPOINT, body, signal);
  };
  const file = await withinLimits(deps, { ...requested, environment: integration.environment }, signal, fetching);
  try {
    await audit(database, change, {
      action: "statement.fetched",
      integrationId,
      target: itemId,
      details: { statement_id: statementId },
    });
  } catch (error) {
    // No file is sent unless its fetch is in the audit log.
    file.bytes.destroy();
    throw error;
  }
  return { ...file, bytes: Readable.from(whole(file.bytes), { objectMode: false }), name: nameOf(named) };
}

interface Named {
  mask: string;
  year: number | null;
  month: number | null;
}

/** Letters and digits only: a bank chooses the mask. */
const nameOf = ({ year, month, mask }: Named): string =>
  `${["statement", year, month === null ? null : String(month).padStart(2, "0"), mask.replaceAll(/\W/g, "")]
    .filter((part) => part !== null && part !== "")
    .join("-")}.pdf`;

/** Counts the request under Plaid's limits, together with those of all processes. */
async function withinLimits(
  { database, clock, limitFactor = 1 }: StatementDeps,
  { integrationId, itemId, environment }: RequestedStatement & { environment: "production" | "sandbox" },
  signal: AbortSignal,
  fetching: () => Promise<PlaidFile>,
): Promise<PlaidFile> {
  const limiter = createLimiter(database, clock, limitFactor);
  const asking = { integrationId, environment, endpoint: ENDPOINT, itemId, institutionId: null };
  const waitMs = await limiter.acquire(asking, MAX_WAIT_MS, signal);
  if (waitMs > 0) throw busy(waitMs);
  try {
    const file = await fetching();
    await limiter.answered(asking);
    return file;
  } catch (error) {
    if (!(error instanceof PlaidError)) throw error;
    if (!error.rateLimited) throw fromPlaid(error);
    const seconds = error.retryAfterSeconds;
    const retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
    await limiter.refused(asking, { errorCode: error.errorCode, retryAfterMs });
    throw busy(retryAfterMs ?? MAX_WAIT_MS);
  }
}

const busy = (waitMs: number): TartanError =>
  new TartanError("overloaded", "Plaid's rate limit for statements is used up; try again after Retry-After.", {
    retryAfterSeconds: waitMs / 1000,
  });

const noStatement = ({ statementId, itemId }: RequestedStatement): TartanError =>
  new TartanError("not_found", `Item ${itemId} has no statement ${statementId}; plaid.statements lists them.`);

const noToken = (itemId: string): TartanError =>
  new TartanError(
    "conflict",
    `Tartan has no token of Item ${itemId} (any more), so it cannot ask Plaid; link it again.`,
  );

/** The bytes, which end with `plaid_unreachable` where Plaid's answer breaks off. */
async function* whole(bytes: Readable): AsyncGenerator<Uint8Array> {
  try {
    for await (const some of bytes) yield some as Uint8Array;
  } catch (cause) {
    throw new TartanError("plaid_unreachable", "Plaid's answer broke off; try again in a moment.", { cause });
  }
}
