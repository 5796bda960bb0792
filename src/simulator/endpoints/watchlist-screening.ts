/** POST /watchlist_screening/individual/… and /watchlist_screening/entity/…: screenings and their hits. */
import { z } from "zod";
import { invalidField } from "../plaid-error.ts";
import { changeRecord, makeRecord } from "../records/changes.ts";
import type { SimRecord } from "../records/record-book.ts";
import {
  ENTITY,
  entityScreening,
  hitObjects,
  INDIVIDUAL,
  screening,
  screeningObject,
  type Screening,
} from "../records/screening.ts";
import { endpoint, type Endpoint } from "./endpoint.ts";
import { recordEndpoint } from "./record-endpoint.ts";
import { pageOf } from "./record-pages.ts";

const HITS = 10;
const SCREENINGS = 20;
const statuses = z.enum(["rejected", "pending_review", "cleared"]);

type Sort = typeof INDIVIDUAL;
type Book = typeof screening;

/** The paths and fields of one of both sorts. */
function termsOf(sort: Sort) {
  const [program = "", name = "", ...others] = Object.keys(sort.terms);
  const type = (field: string) => sort.terms[field] ?? z.string();
  const rest = Object.fromEntries(others.map((field) => [field, type(field).optional()]));
  return {
    program,
    searched: z.strictObject({ [program]: type(program), [name]: type(name), ...rest }),
    changed: z.strictObject({ [program]: type(program).optional(), [name]: type(name).optional(), ...rest }),
    unknown: Object.fromEntries(others.map((field) => [field, null])),
  };
}

const create = (at: string, sort: Sort, book: Book): Endpoint =>
  endpoint(
    `${at}/create`,
    { search_terms: termsOf(sort).searched, client_user_id: z.string().optional() },
    ({ search_terms, client_user_id }, { sim, client }) => {
      const made = makeRecord(sim, book, client.clientId, { search_terms, client_user_id });
      made.state.terms = { ...termsOf(sort).unknown, ...(search_terms as Record<string, string>) };
      return screeningObject(made);
    },
  );

function list(at: string, sort: Sort, book: Book): Endpoint {
  const { program } = termsOf(sort);
  const shape = {
    [program]: z.string().min(1),
    client_user_id: z.string().optional(),
    status: statuses.optional(),
    assignee: z.string().optional(),
    cursor: z.string().nullish(),
  };
  return endpoint(`${at}/list`, shape, (body: Record<string, unknown>, { sim, client }) => {
    const same = (field: string, value: unknown) => body[field] === undefined || body[field] === value;
    const requested = ({ state }: SimRecord<Screening>) =>
      same(program, state.terms[program]) &&
      same("client_user_id", state.clientUserId) &&
      same("status", state.status) &&
      same("assignee", state.assignee);
    const all = sim.world.records.of(book, client.clientId).filter(requested);
    const page = pageOf(all, SCREENINGS, body["cursor"] as string | null | undefined);
    return { [`${sort.resource}s`]: page.records.map(screeningObject), next_cursor: page.next_cursor };
  });
}

const update = (at: string, sort: Sort, book: Book): Endpoint =>
  recordEndpoint(
    `${at}/update`,
    book,
    `${sort.resource}_id`,
    {
      search_terms: termsOf(sort).changed.nullish(),
      assignee: z.string().optional(),
      status: statuses.optional(),
      client_user_id: z.string().optional(),
      reset_fields: z.array(z.literal("assignee")).nullish(),
    },
    (record, { search_terms, assignee, status, client_user_id, reset_fields }, { sim }) => {
      changeRecord(sim, book, record, {
        search_terms: search_terms ?? undefined,
        assignee: reset_fields?.includes("assignee") ? null : assignee,
        status,
        client_user_id,
      });
      return screeningObject(record);
    },
  );

const hitList = (at: string, sort: Sort, book: Book): Endpoint =>
  recordEndpoint(
    `${at}/hit/list`,
    book,
    `${sort.resource}_id`,
    { cursor: z.string().nullish() },
    (record, { cursor }) => {
      const from = cursor ? Number(cursor) : 0;
      if (!Number.isInteger(from)) throw invalidField("cursor must be the next_cursor of an earlier answer");
      const all = hitObjects(sort, record);
      const next = from + HITS;
      return { [sort.hitsAt]: all.slice(from, next), next_cursor: next < all.length ? String(next) : null };
    },
  );

function screeningEndpoints(of: "individual" | "entity"): Endpoint[] {
  const [sort, book] = of === "individual" ? ([INDIVIDUAL, screening] as const) : ([ENTITY, entityScreening] as const);
  const at = `/watchlist_screening/${of}`;
  const get = recordEndpoint(`${at}/get`, book, `${sort.resource}_id`, {}, screeningObject);
  return [create(at, sort, book), get, list(at, sort, book), update(at, sort, book), hitList(at, sort, book)];
}

export const WATCHLIST_SCREENING: readonly Endpoint[] = [
  ...screeningEndpoints("individual"),
  ...screeningEndpoints("entity"),
];
