/** Receives what Tartan delivers, with Express. */
import express from "express";
import { Webhook } from "standardwebhooks";

interface TartanEvent {
  type: string;
  item_id: string | null;
  user_id: string | null;
  /** what the event is about where that belongs to no item, such as a payment */
  subject?: { kind: string; id: string };
  data: Record<string, unknown>;
}

const webhook = new Webhook(process.env["TARTAN_SIGNING_SECRET"] ?? "");

/** The ids of what was handled already. In your application: a table, written in the transaction that does the work. */
const handled = new Set<string>();

const app = express();

// The signature is over the bytes that were sent, so they must arrive here unparsed.
app.post("/webhooks/tartan", express.raw({ type: "*/*", limit: "1mb" }), (request, response) => {
  let event: TartanEvent;
  try {
    event = webhook.verify(request.body as Buffer, request.headers as Record<string, string>) as TartanEvent;
  } catch {
    response.status(401).end();
    return;
  }
  const id = request.header("webhook-id") ?? "";
  if (!handled.has(id)) {
    handle(event);
    handled.add(id);
  }
  response.status(204).end();
});

function handle({ type, item_id, user_id, subject }: TartanEvent): void {
  const about = subject ? `${subject.kind} ${subject.id}` : `item ${item_id}`;
  console.log(`${type} of ${about}, user ${user_id}`);
}

app.listen(Number(process.env["PORT"] ?? 3000));
