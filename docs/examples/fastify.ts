/** Receives what Tartan delivers, with Fastify. */
import Fastify from "fastify";
import { Webhook } from "standardwebhooks";

interface TransactionsChanged {
  type: string;
  item_id: string;
  data: { added: { transaction_id: string }[]; modified: object[]; removed: object[] };
}

const webhook = new Webhook(process.env["TARTAN_SIGNING_SECRET"] ?? "");

/** The ids of what was handled already. In your application: a table, written in the transaction that does the work. */
const handled = new Set<string>();

const app = Fastify({ bodyLimit: 1024 * 1024 });

// The signature is over the bytes that were sent, so they must arrive here unparsed.
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

app.post("/webhooks/tartan", async (request, reply) => {
  let event: TransactionsChanged;
  try {
    event = webhook.verify(request.body as Buffer, request.headers as Record<string, string>) as TransactionsChanged;
  } catch {
    return reply.code(401).send();
  }
  const id = String(request.headers["webhook-id"]);
  if (!handled.has(id)) {
    if (event.type === "transactions.changed") handle(event);
    handled.add(id);
  }
  return reply.code(204).send();
});

function handle({ item_id, data }: TransactionsChanged): void {
  for (const { transaction_id } of data.added) console.log(`new ${transaction_id} of item ${item_id}`);
}

await app.listen({ port: Number(process.env["PORT"] ?? 3000) });
