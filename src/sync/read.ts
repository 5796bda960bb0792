/**
 * Reads one resource from Plaid: a snapshot in one request or a few, or a loop of pages (read-loop.ts). It writes nothing to the
 * mirror; the loop stages its pages under the run's lease.
 */
import { PlaidError } from "../plaid/errors.ts";
import { requestsOf, rootTable, subjectKind } from "../resources/index.ts";
import type { Asker, Request, Resource, SnapshotFetch } from "../resources/types.ts";
import { ask, holdsRows, membersIn, rootIn, type Reader } from "./ask.ts";
import { failureOf } from "./failure.ts";
import { readLoops } from "./read-loop.ts";
import type { Outcome, StoredLoop, Task } from "./types.ts";

/**
 * Reads what Plaid has of one resource. Failures of Plaid are outcomes.
 * @param cursor where the last run ended, null to read from the start
 * @param kept a loop of the resource that had to wait
 * @throws TartanError `lease_lost`; the signal's reason when it aborts; unexpected errors
 */
export async function readResource(
  reader: Reader,
  task: Task,
  cursor: string | null,
  kept?: StoredLoop,
): Promise<Outcome> {
  try {
    const { fetch } = task.resource;
    return fetch.kind === "snapshot"
      ? await readSnapshot(reader, task, fetch)
      : await readLoops(reader, task, fetch, {
          stored: cursor,
          kept,
          readWith: readWithOf(task.resource, reader.asker),
        });
  } catch (error) {
    if (task.resource.fetch.kind === "window" && saysNone(error, task.resource.fetch.none)) return nothingOf(task);
    // Its pages and the loop are deleted; that it began at the start is kept.
    return {
      task: kept?.firstCursor === null ? { ...task, full: true } : task,
      failure: failureOf(error, task.resource),
    };
  }
}

/** The options with which a reading that begins now shapes its rows. */
export const readWithOf = ({ fetch }: Resource, asker: Asker): string =>
  fetch.kind === "cursor" ? (fetch.readWith?.(asker) ?? "") : "";

/** The values of an integration that go into requests about a subject. */
export const askerOf = (
  { countryCodes, daysRequested, includeOriginalDescription }: Omit<Asker, "subjectId" | "permissiblePurpose">,
  subjectId: string,
  permissiblePurpose: string | null,
): Asker => ({ subjectId, countryCodes, daysRequested, includeOriginalDescription, permissiblePurpose });

async function readSnapshot(reader: Reader, task: Task, fetch: SnapshotFetch): Promise<Outcome> {
  const { resource } = task;
  const answer = await askAll(reader, fetch);
  const table = rootTable(resource);
  if (answer === null) return nothingOf(task);
  const page = { text: answer.text, rows: holdsRows(answer.body, resource), removals: false };
  return {
    task,
    read: { resource, pages: [page], whole: true },
    cursor: null,
    root: table ? rootIn(answer.body, table, reader.scope.subjectId) : null,
    complete: true,
  };
}

/** Plaid says that there are no rows, of any time. */
const nothingOf = (task: Task): Outcome => ({
  task,
  read: { resource: task.resource, pages: [{ text: "{}", rows: false, removals: false }], whole: true },
  cursor: null,
  root: null,
  complete: true,
});

const saysNone = (error: unknown, none: readonly string[] = []): boolean =>
  error instanceof PlaidError && none.includes(error.errorCode);

type Answered = Awaited<ReturnType<typeof ask>>;

/** The answers of all requests as one: those beside the first stand in it under their names. Null: Plaid says that there are no rows. */
async function askAll(reader: Reader, fetch: SnapshotFetch): Promise<Answered | null> {
  const { first, beside } = requestsOf(fetch);
  const answer = await askFirst(reader, first, fetch.none ?? []);
  if (answer === null || beside.length === 0) return answer;
  const members = answer.body.size > 0 ? [answer.text.trim().slice(1, -1)] : [];
  for (const [name, request] of beside) {
    const text = request.byId ? await askById(reader, request) : (await ask(reader, request)).text;
    members.push(`${JSON.stringify(name)}:${text}`);
  }
  const text = `{${members.join(",")}}`;
  return { text, body: membersIn(text) };
}

/**
 * The answer to a request that only some subjects have an answer to: those that Plaid knows by id. The first request was answered, so a
 * refusal of this one says nothing of the subject.
 */
async function askById(reader: Reader, request: Request): Promise<string> {
  if (!isNamedById(reader)) return "{}";
  try {
    return (await ask(reader, request)).text;
  } catch (error) {
    const isRefused = error instanceof PlaidError && ["item_ended", "configuration"].includes(error.retryClass);
    if (isRefused) return "{}";
    throw error;
  }
}

/** Whether requests carry the subject's id; otherwise they carry a token of it. */
function isNamedById({ scope, credentials }: Reader): boolean {
  const access = subjectKind(scope.kind)?.access;
  return access?.by !== "id" || access.as in credentials;
}

async function askFirst(reader: Reader, request: Request, none: readonly string[]): Promise<Answered | null> {
  try {
    return await ask(reader, request);
  } catch (error) {
    if (saysNone(error, none)) return null;
    throw error;
  }
}
