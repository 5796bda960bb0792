/** A handler as Plaid's documentation describes it: written for Plaid, and knowing nothing of Tartan. */
import { createHash } from "node:crypto";
import express from "express";
import { decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { Configuration, PlaidApi } from "plaid";

const plaid = new PlaidApi(
  new Configuration({
    basePath: process.env["PLAID_URL"] ?? "https://production.plaid.com",
    baseOptions: {
      headers: { "PLAID-CLIENT-ID": process.env["PLAID_CLIENT_ID"], "PLAID-SECRET": process.env["PLAID_SECRET"] },
    },
  }),
);

const app = express();

app.post("/plaid/webhook", express.raw({ type: "*/*" }), async (request, response) => {
  const body = request.body as Buffer;
  try {
    await verify(request.header("plaid-verification") ?? "", body);
  } catch {
    response.status(401).end();
    return;
  }
  const { webhook_type, webhook_code, item_id } = JSON.parse(body.toString()) as Record<string, string>;
  console.log(`${webhook_type}/${webhook_code} of item ${item_id}`);
  response.status(200).end();
});

async function verify(jwt: string, body: Buffer): Promise<void> {
  const { kid = "" } = decodeProtectedHeader(jwt);
  const { data } = await plaid.webhookVerificationKeyGet({ key_id: kid });
  const key = await importJWK({ ...data.key }, "ES256");
  const { payload } = await jwtVerify(jwt, key, { algorithms: ["ES256"], maxTokenAge: "5 min" });
  if (payload["request_body_sha256"] !== createHash("sha256").update(body).digest("hex"))
    throw new Error("other bytes");
}

app.listen(Number(process.env["PORT"] ?? 3000));
