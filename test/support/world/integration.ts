/** An integration with the simulator, and items of its client: made at the simulator, linked with Tartan when a test says so. */
import { createIntegration, type NewIntegration } from "../../../src/integrations/integrations.ts";
import type { Simulator } from "../../../src/simulator/index.ts";
import { introduceItem } from "../link.ts";
import type { Base } from "./base.ts";
import type { SimulatorPart } from "./simulator.ts";

export interface Item {
  item_id: string;
  access_token: string;
}

type NewItems = Parameters<Simulator["control"]["createItems"]>[0];
interface Listener {
  url: string;
}

export interface IntegrationPart {
  id: string;
  webhook_secret: string;
  /** makes another integration with the same simulator, and returns its id */
  another(): Promise<string>;
  /** items at the simulator; Tartan does not know them */
  makeItems(count: number, transactions?: number, more?: NewItems): Item[];
  /** the same, with webhooks that go to a receiver */
  makeItemsFor(receiver: Listener, count: number, transactions?: number, products?: string[]): Item[];
  /** links an item as the commands do, and marks it due */
  link(item: Item, integrationId?: string): Promise<void>;
  /** posts ITEM/CREATED to a receiver, as your backend does */
  linkAt(receiver: Listener, item: Item, userId?: string): Promise<Response>;
  /** posts ITEM/UPDATED to a receiver, as your backend does after update mode */
  updatedAt(receiver: Listener, item: Item): Promise<Response>;
}

export const integration = {
  needs: ["simulator"],
  start: async (
    world: Base & { simulator: SimulatorPart },
    options: Partial<NewIntegration>,
  ): Promise<IntegrationPart> => {
    const { control } = world.simulator;
    const make = () => createIntegration(world.database, world.vault, { ...ofSimulator(world.simulator), ...options });
    const { id, webhook_secret } = await make();
    const intakeOf = ({ url }: Listener) => `${url}/v1/integrations/${id}`;
    const post = (receiver: Listener, fields: object): Promise<Response> =>
      fetch(intakeOf(receiver), {
        method: "POST",
        headers: { "content-type": "application/json", "whdb-webhook-secret": webhook_secret },
        body: JSON.stringify({ webhook_type: "ITEM", ...fields }),
      });
    const makeItems: IntegrationPart["makeItems"] = (count, transactions = 20, more = {}) =>
      control.createItems({ count, transactions, ...more }).items;
    return {
      id,
      webhook_secret,
      another: async () => (await make()).id,
      makeItems,
      makeItemsFor: (receiver, count, transactions = 30, products = ["transactions"]) =>
        makeItems(count, transactions, { products, webhook: intakeOf(receiver) }),
      link: async (item, integration_id = id) => void (await introduceItem(world, { integration_id, ...item })),
      linkAt: (receiver, { item_id, access_token }, user_id) =>
        post(receiver, { webhook_code: "CREATED", item_id, access_token, user_id }),
      updatedAt: (receiver, { item_id }) => post(receiver, { webhook_code: "UPDATED", item_id }),
    };
  },
} as const;

const ofSimulator = ({ clientId, secret, url }: Simulator): NewIntegration => ({
  client_id: clientId,
  secret,
  environment: "sandbox",
  plaid_url: url,
  country_codes: ["US", "CA", "GB"],
});
