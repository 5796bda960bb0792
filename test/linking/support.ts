/** Sessions of Link at the simulator. */
import type { Json, World } from "../support/world/index.ts";

/** A finished session of Link that added an item, that no webhook announced. */
export function sessionOf(world: World<"integration">): {
  item_id: string;
  access_token: string;
  public_token: string;
  link_session_id: string;
} {
  const [item] = world.integration.makeItems(1);
  if (!item) throw new Error("no item");
  const { records } = world.simulator.control;
  const [made] = records.create("link_session", { item_ids: [item.item_id], items: 0, webhooks: false }).records;
  const truth: Json = made?.truth["link_sessions"];
  const [session] = truth.link_sessions;
  return {
    ...item,
    public_token: session.results.item_add_results[0].public_token,
    link_session_id: session.link_session_id,
  };
}

/** Exchanges a public token as a backend does. */
export async function exchangeAtPlaid(world: World<"simulator">, public_token: string): Promise<Json> {
  const { clientId, secret, url } = world.simulator;
  const headers = { "content-type": "application/json", "plaid-client-id": clientId, "plaid-secret": secret };
  const init = { method: "POST", headers, body: JSON.stringify({ public_token }) };
  return await (await fetch(`${url}/item/public_token/exchange`, init)).json();
}

/** All events of a type. */
export async function eventsOf({ database }: World<"api">, type: string): Promise<Json[]> {
  const { rows } = await database.query<Json>(
    "select convert_from(payload, 'utf8')::json->'data' as data, item_id, user_id from events.events where type = $1",
    [type],
  );
  return rows;
}
