/** POST /user/…: makes, shows, changes and removes users, each by the id or, of a user created in the older way, by the token. */
import { z } from "zod";
import { invalidField, userNotFound } from "../plaid-error.ts";
import { makeRecord, recordOf, recordWith } from "../records/changes.ts";
import type { SimRecord } from "../records/record-book.ts";
import { user, type User } from "../records/user.ts";
import { userItems, userObject } from "../records/user-objects.ts";
import { endpoint, type Answer, type Body, type Call, type Endpoint, type Shape } from "./endpoint.ts";

const named = { user_id: z.string().nullish(), user_token: z.string().nullish() };
const identity = z.record(z.string(), z.unknown()).nullish();

/** The client's user of a request. @throws PlaidApiError when neither or both are given, or the user is unknown or removed */
function userOf(body: Body<typeof named>, { sim, client }: Call): SimRecord<User> {
  const { user_id, user_token } = body;
  if (Boolean(user_id) === Boolean(user_token)) throw invalidField("one of user_id and user_token must be given");
  const found = user_token
    ? recordWith(sim, user, client.clientId, user_token)
    : recordOf(sim, user, client.clientId, user_id ?? "");
  if (found.state.removed) throw userNotFound();
  return found;
}

/** An endpoint about a user. */
export const userEndpoint = <S extends Shape>(
  path: string,
  shape: S,
  answer: (record: SimRecord<User>, body: Body<S>, call: Call) => Answer,
): Endpoint =>
  endpoint(path, { ...named, ...shape }, (body, call) =>
    answer(userOf(body as Body<typeof named>, call), body as Body<S>, call),
  );

const nothingYet = { items: 0, payroll: false, bank_income: false, check_report: false, cash_flow: false };

export const USERS: readonly Endpoint[] = [
  endpoint(
    "/user/create",
    {
      client_user_id: z.string().min(1),
      identity,
      consumer_report_user_identity: identity,
      end_customer: z.string().optional(),
      with_upgraded_user: z.boolean().optional(),
    },
    (body, { sim, client }) => {
      const { client_user_id } = body;
      const known = sim.world.records
        .of(user, client.clientId)
        .some(({ state }) => state.clientUserId === client_user_id && !state.removed);
      if (known) throw invalidField("client_user_id belongs to a user already");
      const legacy = body.consumer_report_user_identity != null && body.with_upgraded_user !== true;
      const given = { ...nothingYet, client_user_id, legacy, identity: body.identity ?? null };
      const { id, state } = makeRecord(sim, user, client.clientId, given);
      return { user_id: id, ...(state.token === null ? {} : { user_token: state.token }) };
    },
  ),
  endpoint("/user/get", { user_id: z.string().min(1) }, ({ user_id }, call) => {
    const record = userOf({ user_id }, call);
    if (record.state.token !== null) throw userNotFound();
    return userObject(record);
  }),
  userEndpoint(
    "/user/update",
    { identity, consumer_report_user_identity: identity },
    ({ state }, body, { sim }): Answer => {
      state.identity = { ...state.identity, ...body.identity };
      state.updatedAt = sim.time.now();
      return {};
    },
  ),
  userEndpoint("/user/items/get", {}, (record, _, { sim }) => ({ items: userItems(record, sim) })),
  userEndpoint("/user/remove", {}, ({ id, state }, _, { sim }): Answer => {
    state.removed = true;
    for (const item of sim.world.items.values()) if (item.userId === id) item.removed = true;
    return {};
  }),
];
