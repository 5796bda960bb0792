import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock as clock } from "../../src/clock.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import { classify, PlaidError } from "../../src/plaid/errors.ts";
import { storableJson } from "../../src/plaid/json.ts";
import { limitOf } from "../../src/plaid/limits.ts";
import { plaidFault } from "../support/plaid-signer.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(handler: Handler) {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => handler(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    client: createPlaidClient({ baseUrl, clientId: "the-client", secret: "the-secret", timeoutMs: 1500, clock }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const answering = (status: number, body: string, headers: Record<string, string> = {}) =>
  serve((_request, response) => response.writeHead(status, headers).end(body));

async function failure(promise: Promise<unknown>): Promise<PlaidError> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PlaidError);
  return error as PlaidError;
}

describe("the client", () => {
  test("the client sends credentials and version in headers and JSON in the body", async () => {
    const seen: unknown[] = [];
    await using s = await serve((request, response, body) => {
      const {
        "plaid-client-id": id,
        "plaid-secret": secret,
        "plaid-version": version,
        "content-type": type,
      } = request.headers;
      seen.push(request.method, request.url, id, secret, version, type, body);
      response.end('{"request_id":"r"}');
    });
    await s.client.post("/item/get", { access_token: "t" });
    expect(seen).toEqual([
      "POST",
      "/item/get",
      "the-client",
      "the-secret",
      "2020-09-14",
      "application/json",
      '{"access_token":"t"}',
    ]);
  });

  test("the client returns the text as it came, digit for digit", async () => {
    const text = '{ "amount": 12345678901234567.10, "small": 1e-7,\n"request_id": "abc" }';
    await using s = await answering(200, text);
    expect(await s.client.post("/x", {})).toEqual({ text, requestId: "abc" });
    expect(await s.client.postJson("/x", {})).toMatchObject({ request_id: "abc" });
  });

  test("the client finds the request id even if a text looks like one", async () => {
    const text = JSON.stringify({ request_id: "right", name: '"request_id":"wrong"' });
    await using s = await answering(200, text);
    expect((await s.client.post("/x", {})).requestId).toBe("right");
  });

  test("a Plaid error keeps its type, code, reason, display message and request id, and no more", async () => {
    const body = JSON.stringify({
      error_type: "ITEM_ERROR",
      error_code: "ITEM_LOGIN_REQUIRED",
      error_code_reason: "OAUTH_CONSENT_EXPIRED",
      error_message: "access-sandbox-secret-token is stale",
      display_message: "Sign in again.",
      request_id: "req9",
    });
    await using s = await answering(400, body);
    const error = await failure(s.client.post("/item/get", {}));
    expect(error).toMatchObject({
      errorType: "ITEM_ERROR",
      errorCode: "ITEM_LOGIN_REQUIRED",
      errorCodeReason: "OAUTH_CONSENT_EXPIRED",
      displayMessage: "Sign in again.",
      httpStatus: 400,
      requestId: "req9",
      retryClass: "user",
      rateLimited: false,
    });
    expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain("secret-token");
  });

  test("an answer with status 429 is a rate limit with the wait that it names", async () => {
    const { status, body } = plaidFault(429, "RATE_LIMIT_EXCEEDED", "TRANSACTIONS_SYNC_LIMIT");
    await using s = await answering(status, body, { "retry-after": "7" });
    expect(await failure(s.client.post("/transactions/sync", {}))).toMatchObject({
      retryClass: "backoff",
      rateLimited: true,
      retryAfterSeconds: 7,
    });
  });

  test("a refused cursor is distinguished from other invalid fields because the request had a cursor", async () => {
    const { status, body } = plaidFault(400, "INVALID_REQUEST", "INVALID_FIELD");
    await using s = await answering(status, body);
    const classOf = async (path: string, sent: object) => (await failure(s.client.post(path, sent))).retryClass;
    expect(await classOf("/transactions/sync", { cursor: "c" })).toBe("cursor_invalid");
    expect(await classOf("/transactions/sync", { cursor: "" })).toBe("configuration");
    expect(await classOf("/transactions/sync", {})).toBe("configuration");
    expect(await classOf("/item/get", { cursor: "c" })).toBe("configuration");
  });

  test("an answer that is not Plaid's JSON is retried if it may pass, and is a configuration error otherwise", async () => {
    const expected: [number, string, string][] = [
      [500, "<html>", "backoff"],
      [502, "", "backoff"],
      [429, "slow down", "backoff"],
      [200, "<html>", "backoff"],
      [200, "", "backoff"],
      [404, "not here", "configuration"],
      [403, '{"error":"x"}', "configuration"],
    ];
    for (const [status, body, retryClass] of expected) {
      await using s = await answering(status, body);
      expect(await failure(s.client.post("/x", {})), `${status} ${body}`).toMatchObject({
        retryClass,
        httpStatus: status,
      });
    }
  });

  test("an answer that is not Plaid's JSON keeps its status in the error's code and text", async () => {
    for (const [status, headers, expected] of [
      [503, {}, { errorType: "NETWORK", errorCode: "HTTP_503", rateLimited: false }],
      [404, {}, { errorType: "NETWORK", errorCode: "HTTP_404", rateLimited: false }],
      [429, { "retry-after": "9" }, { errorType: "RATE_LIMIT_EXCEEDED", errorCode: "HTTP_429", retryAfterSeconds: 9 }],
      [200, {}, { errorType: "NETWORK", errorCode: "UNREADABLE_ANSWER" }],
    ] as const) {
      await using s = await answering(status, "<html>busy</html>", headers);
      const error = await failure(s.client.post("/x", {}));
      expect(error).toMatchObject({ ...expected, httpStatus: status });
      expect(error.message).toContain(expected.errorCode);
    }
  });

  test("Retry-After is read as seconds or as a date, up to a limit", async () => {
    const { body } = plaidFault(429, "RATE_LIMIT_EXCEEDED", "RATE_LIMIT");
    const waitFor = async (header: string) => {
      await using s = await answering(429, body, { "retry-after": header });
      return (await failure(s.client.post("/x", {}))).retryAfterSeconds;
    };
    expect(await waitFor("999999999")).toBe(3600);
    expect(await waitFor(new Date(Date.now() + 120_000).toUTCString())).toBeGreaterThan(100);
    for (const nothing of ["soon", "0", "-5", new Date(0).toUTCString()])
      expect(await waitFor(nothing)).toBeUndefined();
  });

  test("used-up credits are not a rate limit, since waiting does not help", async () => {
    const { status, body } = plaidFault(429, "RATE_LIMIT_EXCEEDED", "CREDITS_EXHAUSTED");
    await using s = await answering(status, body);
    expect(await failure(s.client.post("/x", {}))).toMatchObject({ rateLimited: false, retryClass: "configuration" });
  });

  test("a timeout, a closed connection and a refused connection are failures that pass", async () => {
    await using silent = await serve(() => undefined);
    expect(await failure(silent.client.post("/x", {}))).toMatchObject({ errorCode: "TIMEOUT", retryClass: "backoff" });
    await using closing = await serve((request) => request.socket.destroy());
    expect(await failure(closing.client.post("/x", {}))).toMatchObject({
      errorCode: "UNREACHABLE",
      retryClass: "backoff",
    });
    await using half = await serve((request, response) => {
      response.writeHead(200, { "content-length": "100" }).write('{"a":');
      setTimeout(() => request.socket.destroy(), 20);
    });
    expect(await failure(half.client.post("/x", {}))).toMatchObject({ retryClass: "backoff" });
    const nobody = createPlaidClient({
      baseUrl: "http://127.0.0.1:1",
      clientId: "",
      secret: "",
      timeoutMs: 500,
      clock,
    });
    expect(await failure(nobody.post("/x", {}))).toMatchObject({ httpStatus: null, retryClass: "backoff" });
  });

  test("a request that is aborted throws the reason of its signal", async () => {
    await using s = await serve(() => undefined);
    const stop = new AbortController();
    const answer = s.client.post("/x", {}, stop.signal);
    stop.abort(new Error("stopping"));
    await expect(answer).rejects.toThrow("stopping");
  });
});

describe("JSON for Postgres", () => {
  test("characters that jsonb cannot hold become the text of their escape, and nothing else changes", () => {
    expect(storableJson(String.raw`{"a":"x\u0000y"}`)).toBe(String.raw`{"a":"x\\u0000y"}`);
    expect(storableJson(String.raw`{"a":"\ud83d\ude00"}`)).toBe(String.raw`{"a":"\ud83d\ude00"}`);
    expect(storableJson(String.raw`{"a":"\ud83d"}`)).toBe(String.raw`{"a":"\\ud83d"}`);
    expect(storableJson(String.raw`{"a":"\ude00\ud83d"}`)).toBe(String.raw`{"a":"\\ude00\\ud83d"}`);
    expect(storableJson(String.raw`{"a":"\\u0000"}`)).toBe(String.raw`{"a":"\\u0000"}`);
    expect(storableJson(String.raw`{"a":"\\\u0000"}`)).toBe(String.raw`{"a":"\\\\u0000"}`);
  });

  test("numbers that numeric cannot hold become strings with all their characters, and no other number changes", () => {
    const text = '{"a":1e400,"b":1e999999,"c":[-1.5E-20000,"1e999999 \\" 1e999999"],"d":131e131070}';
    expect(storableJson(text)).toBe(
      '{"a":1e400,"b":"1e999999","c":["-1.5E-20000","1e999999 \\" 1e999999"],"d":"131e131070"}',
    );
  });

  test("any JSON stays the same except for characters that jsonb cannot hold", () => {
    const unstorable = /[\0]|[\ud800-\udfff]/u;
    const text = fc
      .array(fc.constantFrom("a", "\\", '"', "\0", "\ud83d", "\ude00", "😀", "u0000", "\n"))
      .map((parts) => parts.join(""));
    const escapeOf = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
    const escapeAll = (json: string) => json.replaceAll(/[^\x20-\x7e]/g, escapeOf);
    fc.assert(
      fc.property(text, (value) => {
        const cleaned = JSON.parse(storableJson(escapeAll(JSON.stringify({ value })))) as { value: string };
        expect(cleaned.value).toBe(value.replaceAll(new RegExp(unstorable, "gu"), escapeOf));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("retry classes", () => {
  test("the retry class comes from type and code, and of an unknown code from the type", () => {
    const expected: [string, string, string][] = [
      ["RATE_LIMIT_EXCEEDED", "ANY_NEW_LIMIT", "backoff"],
      ["API_ERROR", "INTERNAL_SERVER_ERROR", "backoff"],
      ["INSTITUTION_ERROR", "INSTITUTION_DOWN", "backoff"],
      ["ITEM_ERROR", "PRODUCT_NOT_READY", "trigger"],
      ["TRANSACTIONS_ERROR", "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION", "restart"],
      ["ITEM_ERROR", "ITEM_LOGIN_REQUIRED", "user"],
      ["INVALID_INPUT", "ADDITIONAL_CONSENT_REQUIRED", "user"],
      ["ITEM_ERROR", "ITEM_NOT_FOUND", "item_ended"],
      ["INVALID_INPUT", "USER_PERMISSION_REVOKED", "item_ended"],
      ["ITEM_ERROR", "PRODUCTS_NOT_SUPPORTED", "product_unavailable"],
      ["INVALID_INPUT", "INVALID_API_KEYS", "configuration"],
      ["RATE_LIMIT_EXCEEDED", "CREDITS_EXHAUSTED", "configuration"],
      ["INVALID_REQUEST", "SOMETHING_NEW", "configuration"],
      ["CHECK_REPORT_ERROR", "USER_ON_IDENTITY_THEFT_OR_FRAUD_BLOCK", "trigger"],
      ["CONSUMER_REPORT_ERROR", "CONSUMER_REPORT_EXPIRED", "product_unavailable"],
      ...["CONSUMER_REPORT_ERROR", "CRA_REPORT_ERROR", "INCOME_VERIFICATION_ERROR", "ASSET_REPORT_ERROR"].map(
        (type): [string, string, string] => [type, "SOMETHING_NEW", "trigger"],
      ),
      ["ITEM_ERROR", "SOMETHING_NEW", "backoff"],
      ["SOMETHING_NEW", "SOMETHING_NEW", "backoff"],
    ];
    for (const [type, code, retryClass] of expected) expect(classify(type, code), code).toBe(retryClass);
  });
});

describe("limits", () => {
  test("the rate limits are those that Plaid publishes, and there are none where it publishes none", () => {
    expect(limitOf("/transactions/sync", "production")).toEqual({ perItem: 50, perClient: 2500 });
    expect(limitOf("/transactions/sync", "sandbox")).toEqual({ perItem: 50, perClient: 1000 });
    expect(limitOf("/institutions/get", "production")).toEqual({ perClient: 50 });
    expect(limitOf("/webhook_verification_key/get", "production")).toEqual({});
  });
});
