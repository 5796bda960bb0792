import { describe, expect, test } from "vitest";
import { createLogger } from "../src/logger.ts";

const SECRET = "4f1c9a7e-do-not-show";
const NAMES = [
  "access_token",
  "accessToken",
  "Access-Token",
  "public_token",
  "public_tokens",
  "link_token",
  "secret",
  "client_secret",
  "clientSecret",
  "webhook_secret",
  "webhookSecret",
  "Whdb-Webhook-Secret",
  "signing_secret",
  "authorization",
  "Authorization",
  "cookie",
  "masterKey",
  "master_key",
  "adminKey",
  "api_key",
  "Plaid-Verification",
  "jwt",
  "password",
  "body",
  "payload",
];

function line(log: (logger: ReturnType<typeof createLogger>) => void): string {
  let written = "";
  log(createLogger("info", { write: (text: string) => void (written += text) }));
  return written;
}

describe("a log line", () => {
  test.each(NAMES)("a log line shows [cut] in place of a field named %s, at any depth", (name) => {
    for (const fields of [
      { [name]: SECRET },
      { request: { [name]: SECRET } },
      { a: { b: { c: { d: [{ [name]: SECRET }] } } } },
      { [name]: { inner: SECRET } },
      { [name]: [SECRET] },
    ]) {
      const text = line((logger) => logger.info(fields, "a line"));
      expect(text).not.toContain(SECRET);
      expect(text).toContain("[cut]");
      expect(JSON.parse(text)).toMatchObject({ msg: "a line", level: "info" });
    }
    const child = line((logger) => logger.child({ [name]: SECRET }).info("a line"));
    expect(child).not.toContain(SECRET);
    expect(child).toContain("[cut]");
  });

  test.each(['{"legal_name": Jane Doe}', '{"ssn": "078-05-1120"', '["078-05-1120]'])(
    "a log line says that a text is not valid JSON and repeats nothing of it: %s",
    (text) => {
      const written = line((logger) => {
        try {
          JSON.parse(text);
        } catch (error) {
          logger.error({ error }, "a line");
        }
      });
      expect(JSON.parse(written)).toMatchObject({
        error: { name: "SyntaxError", message: "a text is not valid JSON" },
      });
      expect(written).not.toMatch(/Jane|Doe|078/);
    },
  );

  test("a log line shows no token of Plaid's in a text, a message or an error, under any field name", () => {
    const token = "access-production-de3ce8ef-33f8-452c-a685-8671031fc0f6";
    const error = Object.assign(new Error(`refused ${token}`), { code: "X" });
    for (const log of [
      (logger: ReturnType<typeof createLogger>) => logger.info({ note: `it was ${token}` }, "a line"),
      (logger: ReturnType<typeof createLogger>) => logger.info(`a line ${token}`),
      (logger: ReturnType<typeof createLogger>) => logger.info({ error }, "a line"),
      (logger: ReturnType<typeof createLogger>) => logger.info({ err: error }, "a line"),
      (logger: ReturnType<typeof createLogger>) => logger.info({ outer: { cause: error } }, "a line"),
      (logger: ReturnType<typeof createLogger>) => logger.info({ list: [[token]] }, "a line %s", token),
    ]) {
      const text = line(log);
      expect(text).not.toContain("de3ce8ef");
      expect(text).toContain("a line");
    }
  });

  test("a log line keeps ids, counts, times, and an error's name, code and message", () => {
    const error = Object.assign(new TypeError("no such row"), { code: "42P01", detail: SECRET });
    const at = new Date("2026-01-01T00:00:00Z");
    const text = line((logger) =>
      logger.warn({ error, key_id: "key_1", bytes: 7, body_bytes: 3, at, missing: null }, "a line"),
    );
    expect(JSON.parse(text)).toMatchObject({
      error: { name: "TypeError", code: "42P01", message: "no such row" },
      key_id: "key_1",
      bytes: 7,
      body_bytes: 3,
      at: "2026-01-01T00:00:00.000Z",
      missing: null,
    });
    expect(text).not.toContain(SECRET);
  });
});
