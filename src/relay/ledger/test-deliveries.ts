/**
 * Test deliveries: an event that is clearly a test is sent to a destination at once, with the destination's timeout, headers,
 * signature and address guard. The ledger lists it like other deliveries. It changes neither the destination's health nor the order of
 * its deliveries. It is sent once, even while the destination is paused or disabled, and no worker retries it.
 */
import type { Database } from "../../database/types.ts";
import { TartanError } from "../../errors.ts";
import type { Vault } from "../../integrations/vault.ts";
import { newUuid, toDeliveryId, toEventId } from "../../model/ids.ts";
import { loadDestinations } from "../destinations/load-destinations.ts";
import { openSender } from "../senders/registry.ts";
import type { Guard } from "../senders/http/guard.ts";
import { openSigner, signatures } from "../senders/signing.ts";
import { BEGIN_TEST, END_TEST } from "./test-delivery-queries.ts";
import { TEST_EVENT, type Exchange, type LoadedDestination } from "../model/types.ts";
import { getDelivery, type DeliveryWhole } from "./deliveries.ts";

export interface TestDeps {
  database: Database;
  vault: Vault;
  guard: Guard;
}

/**
 * Sends a test event to the destination and waits for its answer.
 * @returns the delivery with its attempt: `delivered`, or `cancelled` with the cause of its failure
 * @throws TartanError `not_found`, or `vault_unsealable` where its secrets cannot be opened
 */
export async function sendTest({ database, vault, guard }: TestDeps, destinationId: string): Promise<DeliveryWhole> {
  const [destination] = await loadDestinations(database, vault, [destinationId], (_id, error) => {
    throw error;
  });
  if (!destination) throw new TartanError("not_found", `There is no destination ${destinationId}.`);
  const [uuid, eventUuid] = [newUuid(), newUuid()];
  const body = bodyOf(eventUuid, destinationId);
  await database.query(BEGIN_TEST, [uuid, eventUuid, destinationId, body]);
  await using sender = openSender({ ...destination, concurrency: 1 }, { guard });
  const exchange = await sender.send({ headers: headersOf(destination, uuid, eventUuid, body), body });
  await database.query(END_TEST, [uuid, ...outcomeOf(exchange, destination)]);
  const delivery = await getDelivery(database, toDeliveryId(uuid));
  if (!delivery) throw new TartanError("not_found", `Destination ${destinationId} was deleted during the test.`);
  return delivery;
}

function bodyOf(eventUuid: string, destinationId: string): Buffer {
  const event = {
    id: toEventId(eventUuid),
    type: TEST_EVENT,
    version: 1,
    occurred_at: new Date().toISOString(),
    integration_id: null,
    environment: null,
    item_id: null,
    user_id: null,
    history: false,
    data: { test: true, destination_id: destinationId, message: "This is a test. Nothing happened." },
  };
  return Buffer.from(JSON.stringify(event));
}

function headersOf(
  { headers, keys }: LoadedDestination,
  uuid: string,
  eventUuid: string,
  body: Buffer,
): Record<string, string> {
  const id = toEventId(eventUuid);
  const timestamp = Math.floor(Date.now() / 1000);
  const signers = keys.map(({ scheme, secret }) => openSigner(scheme, secret));
  return {
    ...headers,
    "content-type": "application/json",
    "user-agent": "Tartan",
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures(signers, id, timestamp, body),
    "tartan-event-type": TEST_EVENT,
    "tartan-delivery-id": toDeliveryId(uuid),
    "tartan-attempt": "1",
    "tartan-test": "true",
  };
}

const outcomeOf = (exchange: Exchange, { url }: LoadedDestination): unknown[] => [
  exchange.cause,
  exchange.status,
  Math.round(exchange.durationMs),
  url,
  exchange.address,
  JSON.stringify(exchange.headers),
  exchange.head,
];
