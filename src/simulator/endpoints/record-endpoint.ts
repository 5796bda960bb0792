/** An endpoint about a record: the id or token in the request must be one of the client's own. */
import { z } from "zod";
import type { Limit } from "../limits.ts";
import { recordOf, recordWith } from "../records/changes.ts";
import type { SimRecord } from "../records/record-book.ts";
import type { Kind } from "../records/store.ts";
import { endpoint, type Answer, type Body, type Call, type Endpoint, type Shape } from "./endpoint.ts";

/** By its id in the field `idField`. An unknown id, and another client's, get the book's error. */
export const recordEndpoint = <S extends Shape, State>(
  path: string,
  book: Kind<State>,
  idField: string,
  shape: S,
  answer: (record: SimRecord<State>, body: Body<S>, call: Call) => Answer,
  limit?: Limit,
): Endpoint => byField(path, idField, shape, recordOf, book, answer, limit);

/** By its token in the field `tokenField`. */
export const recordTokenEndpoint = <S extends Shape, State>(
  path: string,
  book: Kind<State>,
  tokenField: string,
  shape: S,
  answer: (record: SimRecord<State>, body: Body<S>, call: Call) => Answer,
  limit?: Limit,
): Endpoint => byField(path, tokenField, shape, recordWith, book, answer, limit);

function byField<S extends Shape, State>(
  path: string,
  field: string,
  shape: S,
  find: typeof recordOf,
  book: Kind<State>,
  answer: (record: SimRecord<State>, body: Body<S>, call: Call) => Answer,
  limit?: Limit,
): Endpoint {
  const run = (body: Record<string, unknown>, call: Call): Answer =>
    answer(find(call.sim, book, call.client.clientId, String(body[field])), body as Body<S>, call);
  return endpoint(path, { [field]: z.string().min(1), ...shape }, run, limit ? { limit } : {});
}
