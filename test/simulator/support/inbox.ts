/** A receiver of webhooks that keeps every request byte for byte and answers as configured. */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrived {
  headers: IncomingHttpHeaders;
  raw: Buffer;
  body: Record<string, unknown>;
  jwt: string;
}

export interface Inbox extends AsyncDisposable {
  url: string;
  arrived: Arrived[];
  /** status to answer with, or null to say nothing at all */
  answer: (arrived: Arrived) => number | null;
  /** `TYPE/CODE` of everything that arrived, in order */
  codes(): string[];
}

export async function openInbox(): Promise<Inbox> {
  const inbox: Inbox = {
    url: "",
    arrived: [],
    answer: () => 200,
    codes: () => inbox.arrived.map(({ body }) => `${String(body["webhook_type"])}/${String(body["webhook_code"])}`),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const jwt = String(request.headers["plaid-verification"] ?? "");
    const arrived = { headers: request.headers, raw, body: parsed(raw), jwt };
    inbox.arrived.push(arrived);
    const status = inbox.answer(arrived);
    if (status !== null) response.writeHead(status).end("answer");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  inbox.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`;
  return inbox;
}

function parsed(raw: Buffer): Record<string, unknown> {
  try {
    return JSON.parse(raw.toString("utf8")) as Record<string, unknown>;
  } catch {
    return {};
  }
}
