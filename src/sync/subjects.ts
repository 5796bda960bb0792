/**
 * Subjects that belong to no item (payments, users, reports …) as users see and handle them. Plaid's webhooks, and rows that name
 * them, make most of them known; `addSubject` does so for the others, and takes the token that Plaid gave you.
 */
import type { Database, Queryable } from "../database/types.ts";
import { TartanError } from "../errors.ts";
import { storeSubject } from "../integrations/subjects.ts";
import type { Vault } from "../integrations/vault.ts";
import { backfillUser } from "../journal/served.ts";
import { fromKeyCursor, toKeyCursor } from "../model/cursors.ts";
import { checkedFilter } from "../model/listing.ts";
import type { ItemStatus } from "../model/statuses.ts";
import { checked } from "../model/validation.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { explain } from "../plaid/reasons.ts";
import { resourcesOf, subjectKind } from "../resources/index.ts";
import { ITEM } from "../resources/subjects.ts";
import type { Access } from "../resources/types.ts";
import { resourcesOfSubject, type ResourceState } from "./cursor-queries.ts";
import { markDue, renewSubjects } from "./marks.ts";
import { GET_SUBJECT, INTEGRATIONS_OF_SUBJECT, LIST_SUBJECTS } from "./subject-queries.ts";
import { refuseDisabled } from "./refuse-disabled.ts";
import { NamedSubject, NewSubject, SubjectFilter, SubjectSyncRequest } from "./subject.schema.ts";

/** The id of the only subject of a kind. */
const ONLY = "all";

/** A subject as it may be shown; instants are ISO 8601. */
export interface SubjectState {
  kind: string;
  id: string;
  integration_id: string;
  /** your identifier of the user */
  user_id: string | null;
  status: ItemStatus;
  /** Plaid's, or Tartan's own */
  error_code: string | null;
  /** what is wrong, in plain words */
  error_message: string | null;
  /** what to do about it; null also where it goes away by itself */
  next_step: string | null;
  last_error: Record<string, unknown> | null;
  /** when Tartan first knew of it */
  added_at: string;
  verified_at: string | null;
  /** whether a sync waits or runs */
  due: boolean;
}

type Made = "error_message" | "next_step" | "added_at" | "verified_at";
type Row = Omit<SubjectState, Made> & { error_type: string | null; added_at: Date; verified_at: Date | null };

const publicShape = ({ error_type, ...row }: Row): SubjectState => ({
  ...row,
  ...(row.error_code === null ? { error_message: null, next_step: null } : reasonOf(error_type, row.error_code)),
  added_at: row.added_at.toISOString(),
  verified_at: row.verified_at?.toISOString() ?? null,
});

function reasonOf(errorType: string | null, errorCode: string): Pick<SubjectState, "error_message" | "next_step"> {
  const { message, next_step } = explain(errorType ?? "", errorCode);
  return { error_message: message, next_step };
}

/**
 * A page of subjects, by kind and id.
 * @throws TartanError `invalid_request` for an unknown kind or status, or a cursor that is not of this list
 */
export async function listSubjects(
  q: Queryable,
  filter: SubjectFilter,
): Promise<{ data: SubjectState[]; next_cursor: string | null }> {
  const { integration_id, kind, status, limit: size, cursor } = checkedFilter(SubjectFilter, filter);
  const after = cursor === undefined ? ["", "", ""] : fromKeyCursor("subjects", cursor);
  const matching = [integration_id ?? null, kind ?? null, status ?? null];
  const { rows } = await q.query<Row>(LIST_SUBJECTS, [...matching, ...after, size + 1]);
  const data = rows.slice(0, size).map(publicShape);
  const last = rows.length > size ? data.at(-1) : undefined;
  return { data, next_cursor: last ? toKeyCursor("subjects", [last.kind, last.id, last.integration_id]) : null };
}

interface Which {
  kind: string;
  id: string;
  integration_id?: string | undefined;
}

/**
 * One subject with the state of its resources; of several integrations', the latest unless one is named.
 * @throws TartanError `not_found`, `invalid_request` for an unknown kind
 */
export async function getSubject(q: Queryable, which: Which): Promise<SubjectState & { resources: ResourceState[] }> {
  const { kind, id, integration_id } = which;
  checkKind(kind, id);
  const [row] = (await q.query<Row>(GET_SUBJECT, [kind, id, integration_id ?? null])).rows;
  if (!row) throw unknown(which);
  const resources = await resourcesOfSubject(q, { integrationId: row.integration_id, kind, id });
  return { ...publicShape(row), resources };
}

const unknown = ({ kind, id }: Which): TartanError =>
  new TartanError(
    "not_found",
    `Tartan knows no ${kind} ${id}. Add it with \`npx tartan subjects add\` or POST /v1/subjects.`,
    { fields: { id: "names no subject of this kind" } },
  );

/**
 * The integration of the one subject that is meant. What changes or deletes something must not guess between several.
 * @throws TartanError `not_found`; `invalid_request` for an unknown kind, or naming the integrations where several know it and none is named
 */
export async function integrationOf(q: Queryable, which: Which): Promise<string> {
  const { kind, id, integration_id } = which;
  checkKind(kind, id);
  const { rows } = await q.query<{ id: string }>(INTEGRATIONS_OF_SUBJECT, [kind, id, integration_id ?? null]);
  const [only, ...others] = rows.map((row) => row.id);
  if (only === undefined) throw unknown(which);
  if (others.length === 0) return only;
  const all = [only, ...others].join(", ");
  throw new TartanError("invalid_request", `Several integrations know ${kind} ${id}: name one of ${all}.`, {
    fields: { integration_id: `must be one of ${all}` },
  });
}

function checkKind(kind: string, id: string): void {
  if (kind === ITEM.kind) {
    throw new TartanError("invalid_request", "Items are no subjects here: use `npx tartan items` or /v1/items.", {
      fields: { kind: "must not be item" },
    });
  }
  checked(NamedSubject, { kind, id }, "subject");
}

export interface AddedSubject {
  kind: string;
  id: string;
  integration_id: string;
  /** false where it had been added before; a new token replaces the old one */
  created: boolean;
}

/**
 * Makes a subject known, with its token where it has one, and due: all of its resources.
 * @throws TartanError `not_found` (integration), `invalid_request` naming each invalid field
 */
export async function addSubject(
  { database, vault }: { database: Database; vault: Vault },
  { integration_id: integrationId, ...given }: NewSubjectInput,
): Promise<AddedSubject> {
  const { kind, id, token, user_id: userId } = checked(NewSubject, given, "subject");
  checkOnly(kind, id, userId);
  checkToken(kind, token);
  const key = { integrationId, kind, id };
  return await database.transaction(async (tx) => {
    const created = await storeSubject(tx, vault, { ...key, token, userId });
    // The subject is locked before its webhooks, as every run does.
    await renewSubjects(tx, [key]);
    await markDue(tx, [{ ...key, requested: [EVERYTHING] }]);
    if (userId !== undefined) await backfillUser(tx, key, userId);
    return { kind, id, integration_id: integrationId, created };
  });
}

export interface NewSubjectInput {
  integration_id: string;
  kind: string;
  id: string;
  token?: string | undefined;
  user_id?: string | undefined;
}

/** Of a kind that an integration has one of, such as its ledger of transfers, there is no other. */
function checkOnly(kind: string, id: string, userId: string | undefined): void {
  if (subjectKind(kind)?.column !== null) return;
  if (userId !== undefined) {
    throw new TartanError("invalid_request", `A ${kind} is no user's: it is about all users of the integration.`, {
      fields: { user_id: `does not belong to a ${kind}` },
    });
  }
  if (id === ONLY) return;
  throw new TartanError("invalid_request", `Each integration has one ${kind}, whose id is ${ONLY}.`, {
    fields: { id: `must be ${ONLY}` },
  });
}

/** The name of the token that a kind of subject has; null: none. */
export function tokenOf(access: Access | undefined): string | null {
  if (access?.by === "token") return access.as;
  return access?.by === "id" ? (access.orToken ?? null) : null;
}

function checkToken(kind: string, token: string | undefined): void {
  const access = subjectKind(kind)?.access;
  const name = tokenOf(access);
  const isNeeded = access?.by === "token" && access.inWebhook === undefined;
  if (isNeeded && token === undefined)
    throw wrongToken(`is missing: Plaid asks for the ${name ?? "token"} of each ${kind}`, "Set");
  if (name === null && token !== undefined)
    throw wrongToken(`does not belong here: Plaid knows no token of the kind ${kind}`, "Do not set");
}

const wrongToken = (message: string, fix: string): TartanError => {
  const fixed = `${fix} PLAID_SUBJECT_TOKEN for the command, or \`token\` in the API.`;
  return new TartanError("invalid_request", `The token ${message}. ${fixed}`, { fields: { token: message } });
};

/**
 * Makes a subject due: all of its resources, or those named; `full` reads them from the start.
 * @throws TartanError as `integrationOf` does; `invalid_request` for a resource that its kind does not have; `not_enabled`
 */
export async function requestSubjectSync(q: Queryable, which: Which, request: SubjectSyncRequest = {}): Promise<void> {
  const { resources, full = false } = checked(SubjectSyncRequest, request, "request");
  const integrationId = await integrationOf(q, which);
  const { kind, id } = which;
  const names = resourcesOf(kind).map(({ name }) => name);
  const foreign = resources?.find((name) => !names.includes(name));
  if (foreign !== undefined) {
    throw new TartanError("invalid_request", `The kind ${kind} has no resource ${foreign}.`, {
      fields: { resources: `must be among ${names.join(", ")}` },
    });
  }
  await refuseDisabled(q, [integrationId], kind, resources);
  const requested = (resources ?? [EVERYTHING]).map((name) => (full ? `${name}:full` : name));
  await markDue(q, [{ integrationId, kind, id, requested }]);
}
