/**
 * The limit of deliveries: the same HTTP client, signing as Standard Webhooks asks and posting from memory, without a
 * database, a retry or a record. What it leaves out, it does not pay for.
 */
import { createHmac, randomBytes } from "node:crypto";
import { Pool } from "undici";
import { webhookBody } from "../../test/support/plaid-signer.ts";

const AT_ONCE = 16;

/** @returns how many a second */
export async function barePosts(url: string, count: number): Promise<number> {
  const pool = new Pool(url, { connections: AT_ONCE, pipelining: 1 });
  const key = randomBytes(32);
  const body = webhookBody({ item_id: "item-1" });
  let sent = 0;
  const post = async (): Promise<void> => {
    while (sent < count) {
      sent += 1;
      const id = `evt_${sent}`;
      const timestamp = Math.floor(Date.now() / 1000);
      const signature = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64");
      const { statusCode, body: answer } = await pool.request({
        method: "POST",
        path: "/bare",
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": String(timestamp),
          "webhook-signature": `v1,${signature}`,
        },
        body,
      });
      await answer.dump();
      if (statusCode !== 200) throw new Error(`the receiver answered ${statusCode}`);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, post));
  const perSecond = (count * 1000) / (performance.now() - began);
  await pool.close();
  return perSecond;
}
