import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { checkCredentials } from "../../src/plaid/credentials.ts";

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** A Plaid that answers every request so; the simulator has no client that is refused for these reasons. */
async function plaidThatAnswers(status: number, body: unknown): Promise<string> {
  server = createServer((_request, response) => response.writeHead(status).end(JSON.stringify(body)));
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function check(error_type: string, error_code: string, status = 400) {
  const plaid_url = await plaidThatAnswers(status, {
    error_type,
    error_code,
    error_message: "says plaid",
    request_id: "rq1",
  });
  const input = { client_id: "a-client", secret: "a-secret-of-theirs", environment: "production", plaid_url } as const;
  return await checkCredentials(input).catch((error: unknown) => error);
}

describe("a refusal of Plaid's names the field to fix", () => {
  const faults: [type: string, code: string, fields: string[]][] = [
    ["INVALID_INPUT", "INVALID_API_KEYS", ["client_id", "secret"]],
    ["INVALID_INPUT", "UNAUTHORIZED_ENVIRONMENT", ["environment"]],
    ["INVALID_REQUEST", "INVALID_FIELD", ["country_codes"]],
  ];
  it.each(faults)("the refusal %s/%s is answered with the field to fix", async (type, code, fields) => {
    const error = await check(type, code);
    expect(error).toMatchObject({ code: "plaid_credentials_refused", message: expect.stringContaining("rq1") });
    expect(Object.keys((error as { fields: object }).fields)).toEqual(fields);
    expect(JSON.stringify(error) + String(error)).not.toContain("a-secret-of-theirs");
  });
});

it("an error that says nothing about the credentials does not refuse them", async () => {
  expect(await check("RATE_LIMIT_EXCEEDED", "RATE_LIMIT", 429)).toMatchObject({ code: "plaid_unreachable" });
  expect(await check("API_ERROR", "INTERNAL_SERVER_ERROR", 500)).toMatchObject({ code: "plaid_unreachable" });
});
