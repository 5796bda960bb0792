/** What the tests of relay/ share: deliveries that nobody sends, places in what was received, and what is refused. */
import type { Queryable } from "../../src/database/types.ts";

/** Destinations as they are by default: only https. */
export const STRICT = { destinations: { allowHttp: false } };

/** A route that passes webhooks on as they came. */
export const ORIGINAL = { form: "original" };

/** So many webhooks of one item. */
export const count = (times: number, itemId = "item-1"): string[] => Array.from({ length: times }, () => itemId);

/** The places `n` that the bodies tell, in the order in which they came. */
export const places = (received: readonly { body: Buffer }[]): number[] =>
  received.map(({ body }) => (JSON.parse(body.toString()) as { n: number }).n);

/** So many deliveries; `more` is their status, due_at and ordering key. */
export async function plantDeliveries(
  { database }: { database: Queryable },
  id: string,
  count: number,
  more = "'scheduled', now(), null",
): Promise<void> {
  await database.query(
    `insert into relay.deliveries (id, destination_id, event_id, event_type, route_id, route_version, form, status, due_at, ordering_key)
     select gen_random_uuid(), $1, gen_random_uuid(), 'item.error', 'rte_1', 1, 'event', ${more} from generate_series(1, $2)`,
    [id, count],
  );
}

/** What is refused: code, fields and message of the error with which `work` fails. */
export async function refusalOf(
  work: Promise<unknown>,
): Promise<{ code: string; fields: Record<string, string>; message: string }> {
  return await work.then(
    () => ({ code: "none", fields: {}, message: "" }),
    (error: { code: string; fields?: Record<string, string>; message: string }) => ({
      code: error.code,
      fields: error.fields ?? {},
      message: error.message,
    }),
  );
}
