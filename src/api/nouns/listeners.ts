/** /v1/listeners: URLs to which another system posts the logins of your users. The URL itself is the receiver's. */
import { z } from "zod";
import { reason } from "../../audit/audit.schema.ts";
import { KINDS, ListenerChange, NewListener, TokenRotation } from "../../listeners/listener.schema.ts";
import {
  createListener,
  deleteListener,
  getListener,
  listenerUrl,
  listListeners,
  rotateListenerToken,
  updateListener,
  type Listener as ListenerRow,
} from "../../listeners/listeners.ts";
import { INTEGRATION_ID, LISTENER_ID } from "../../model/examples.ts";
import { page } from "../../model/listing.ts";
import { described, integrationId, noTimestamp, orNull, text, timestamp } from "../../model/schema.ts";
import { about, refusals, type Api, type ApiDeps } from "../http/operation.ts";
import { pageOf } from "../http/paging.ts";
import { list } from "../http/shapes.ts";

export function listenerOperations(api: Api, { database, publicUrl }: ApiDeps): void {
  const show = <T extends ListenerRow>(row: T) => ({ ...row, url: listenerUrl(publicUrl(), row.id) });

  api.post("/v1/listeners", { schema: CREATE }, async ({ body: { reason, ...asked }, actor }, reply) =>
    reply.code(201).send(show(await createListener(database, asked, { actor, reason }))),
  );

  api.get("/v1/listeners", { schema: LIST }, async ({ query }) => {
    const { data, next_cursor } = pageOf(await listListeners(database), query, ({ created_at, id }) => [
      created_at,
      id,
    ]);
    return { data: data.map(show), next_cursor };
  });

  api.get("/v1/listeners/:id", { schema: SHOW }, async ({ params }) => show(await getListener(database, params.id)));

  api.patch("/v1/listeners/:id", { schema: CHANGE }, async ({ params, body: { reason, ...changes }, actor }) =>
    show(await updateListener(database, params.id, changes, { actor, reason })),
  );

  api.post("/v1/listeners/:id/rotate", { schema: ROTATE }, async ({ params, body: { reason, ...given }, actor }) =>
    show(await rotateListenerToken(database, params.id, given, { actor, reason })),
  );

  api.delete("/v1/listeners/:id", { schema: DELETE }, async ({ params: { id }, query, actor }) => {
    await deleteListener(database, id, { actor, reason: query.reason });
    return { id, deleted: true as const };
  });
}

const TOKEN = "lst_example-put-it-into-the-authorization-header";

const example = {
  id: LISTENER_ID,
  kind: "auth0" as const,
  name: "Logins from Auth0",
  integration_id: INTEGRATION_ID,
  throttle_s: 900,
  event_types: ["s", "scoa", "sens"],
  cut_prefix: "auth0|",
  counts: { logins: 1204, events_ignored: 88, unknown_users: 97, webhooks: 611, items_fresh: 902 },
  url: `https://tartan.example.com/v1/listeners/${LISTENER_ID}`,
  last_received_at: "2026-11-20T17:03:29.051Z",
  created_at: "2026-11-02T09:14:00.000Z",
  updated_at: "2026-11-02T09:14:00.000Z",
};

const count = (description: string) => described(z.number().int(), description);

const listener = {
  id: described(z.string(), "Id of a listener, `lsn_…`."),
  kind: described(z.enum(KINDS), "Who posts: `auth0`, a log stream of Auth0; or `generic`, your own system."),
  name: described(z.string(), "Yours to choose."),
  integration_id: described(
    orNull(integrationId),
    "A login concerns the user's items of this integration; null: of all.",
  ),
  throttle_s: described(
    z.number().int(),
    "An item that was synced, or had a login, within so many seconds gets no webhook for another login.",
  ),
  event_types: described(z.array(z.string()), "The types of Auth0's log events that are logins."),
  cut_prefix: described(z.string().nullable(), "Cut off the front of each user's id."),
  counts: described(
    z.object({
      logins: count("Users who logged in, once for each request."),
      events_ignored: count("Log events that were no logins, or named no user."),
      unknown_users: count("Logins of users who had no linked item."),
      webhooks: count("Webhooks that logins made."),
      items_fresh: count("Items that needed none."),
    }),
    "Since its creation.",
  ),
  url: described(z.string(), "Where its sender posts."),
  last_received_at: noTimestamp("When its sender last posted with the right token; null: never."),
  created_at: timestamp("When it was created."),
  updated_at: timestamp("When its settings or its token last changed."),
};
const token = described(
  z.string(),
  "Its sender puts it into the Authorization header. Keep it: no answer shows it again.",
);

const Listener = z
  .object(listener)
  .meta({ id: "Listener", description: "A URL that takes the logins of your users.", examples: [example] });
const ListenerWithToken = z
  .object({ ...listener, token })
  .meta({ description: "The listener and its token.", examples: [{ ...example, token: TOKEN }] });
const ListenerDeleted = z
  .object({ id: listener.id, deleted: z.literal(true) })
  .meta({ description: "What was done.", examples: [{ id: LISTENER_ID, deleted: true }] });

const ListenerParams = z.object({ id: text(100, "Id of a listener, `lsn_…`.") });

const CREATE = {
  ...about("Listeners", {
    operationId: "createListener",
    summary: "Create a listener",
    description:
      "Makes a URL that takes logins. For `auth0`, create a log stream of the type Custom Webhook in Auth0, with `url` as Payload URL " +
      "and `token` as Authorization Token; any of its content formats will do. `token` is shown once.",
  }),
  body: NewListener.extend({ reason }).meta({
    examples: [{ kind: "auth0", integration_id: INTEGRATION_ID, cut_prefix: "auth0|" }],
  }),
  response: { 201: ListenerWithToken, ...refusals(404) },
};

const LIST = {
  ...about("Listeners", {
    operationId: "listListeners",
    summary: "List listeners",
    description: "All listeners, oldest first, with what they have counted and without their tokens.",
  }),
  querystring: z.strictObject(page),
  response: { 200: list(Listener, example, "A page of listeners."), ...refusals() },
};

const SHOW = {
  ...about("Listeners", {
    operationId: "getListener",
    summary: "Show a listener",
    description: "One listener, its URL, and what it has counted.",
  }),
  params: ListenerParams,
  response: { 200: Listener, ...refusals(404) },
};

const CHANGE = {
  ...about("Listeners", {
    operationId: "updateListener",
    summary: "Change a listener",
    description: "Changes the given fields and keeps the rest. The next request to its URL is read with them.",
  }),
  params: ListenerParams,
  body: ListenerChange.extend({ reason }).meta({ examples: [{ throttle_s: 3600 }] }),
  response: { 200: Listener, ...refusals(404) },
};

const ROTATE = {
  ...about("Listeners", {
    operationId: "rotateListenerToken",
    summary: "Rotate the token of a listener",
    description:
      "Replaces the token; the old one stops working at once. The new one is shown once. Auth0 sends again what was refused meanwhile.",
  }),
  params: ListenerParams,
  body: TokenRotation.extend({ reason }).meta({ examples: [{ reason: "it was in a log" }] }),
  response: { 200: ListenerWithToken, ...refusals(404) },
};

const DELETE = {
  ...about("Listeners", {
    operationId: "deleteListener",
    summary: "Delete a listener",
    description: "Its URL answers 404 from then on. The webhooks that its logins made stay.",
  }),
  params: ListenerParams,
  querystring: z.strictObject({ reason }),
  response: { 200: ListenerDeleted, ...refusals(404) },
};
