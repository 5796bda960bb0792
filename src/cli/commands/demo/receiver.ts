/**
 * Your application, in the demo: it receives events and accepts only signed ones. It verifies without a library
 * (https://www.standardwebhooks.com); docs/receive.md has receivers to copy.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

export interface DemoEvent {
  type: string;
  occurred_at: string;
  item_id: string | null;
  /** what the event is about when that is no item, such as a payment */
  subject?: { kind: string; id: string };
  data: Record<string, unknown>;
}

export interface DemoReceiver extends AsyncDisposable {
  url: string;
}

const TOLERANCE_S = 5 * 60;

/** @param secret `whsec_…` */
export async function startDemoReceiver(secret: string, onEvent: (event: DemoEvent) => void): Promise<DemoReceiver> {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const handled = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const id = String(request.headers["webhook-id"]);
      if (!isSigned(key, request.headers, body)) return response.writeHead(401).end();
      if (!handled.has(id)) onEvent(JSON.parse(body.toString()) as DemoEvent);
      handled.add(id);
      return response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/tartan`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function isSigned(key: Buffer, headers: IncomingHttpHeaders, body: Buffer): boolean {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!(age <= TOLERANCE_S)) return false;
  const expected = createHmac("sha256", key)
    .update(`${String(id)}.${String(timestamp)}.`)
    .update(body)
    .digest();
  return String(signatures)
    .split(" ")
    .some((each) => {
      const [version, text = ""] = each.split(",");
      const given = Buffer.from(text, "base64");
      return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
    });
}
