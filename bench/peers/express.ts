/**
 * The peer: the usual hand-written Plaid handler, done properly. Express keeps the raw body, jose verifies with a cached
 * key, the body's hash and the token's age are checked, and one INSERT stores the webhook before the answer. It has no
 * dedupe, no queue, no refusal record and no key rotation: what it leaves out, it does not pay for.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import express from "express";
import { importJWK, jwtVerify, type JWK } from "jose";
import { Pool } from "pg";

const [databaseUrl, jwk] = [process.env["PEER_DATABASE_URL"], process.env["PEER_JWK"]];
const pool = new Pool({ connectionString: databaseUrl, max: 16 });
await pool.query(`
  drop table if exists peer_webhooks;
  create table peer_webhooks (
    id bigint generated always as identity primary key,
    item_id text, webhook_type text, webhook_code text, body jsonb not null,
    received_at timestamptz not null default now());
  create index on peer_webhooks (item_id, received_at);`);
const key = await importJWK(JSON.parse(jwk ?? "{}") as JWK, "ES256");

const app = express();
app.post("/webhook", express.raw({ type: "*/*", limit: "1mb" }), async (request, response) => {
  const body = request.body as Buffer;
  try {
    const token = request.header("plaid-verification") ?? "";
    const { payload } = await jwtVerify(token, key, { algorithms: ["ES256"], maxTokenAge: "5 min" });
    const claimed = Buffer.from(String(payload["request_body_sha256"]), "hex");
    const actual = createHash("sha256").update(body).digest();
    if (claimed.length !== actual.length || !timingSafeEqual(claimed, actual)) throw new Error("body");
  } catch {
    response.status(401).end();
    return;
  }
  const webhook = JSON.parse(body.toString()) as Record<string, string>;
  await pool.query("insert into peer_webhooks (item_id, webhook_type, webhook_code, body) values ($1, $2, $3, $4)", [
    webhook["item_id"],
    webhook["webhook_type"],
    webhook["webhook_code"],
    body.toString(),
  ]);
  response.status(200).json({ ok: true });
});
const server = app.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${typeof address === "object" && address ? address.port : 0}\n`);
});
