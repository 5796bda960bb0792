import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { TartanError } from "../../src/errors.ts";
import { readAuth0, readGeneric } from "../../src/listeners/formats.ts";
import { LOGIN_EVENTS } from "../../src/listeners/listener.schema.ts";
import { logEvent } from "./auth0-events.ts";

const auth0 = (body: string, types = LOGIN_EVENTS, prefix: string | null = null) =>
  readAuth0(Buffer.from(body), types, prefix);
const own = (value: unknown, prefix: string | null = null) =>
  readGeneric(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)), prefix);

const USER = "auth0|618223a4e3f49e006948565c";
const AT = new Date("2026-11-20T17:03:29.051Z");

function refusalOf(read: () => unknown): Record<string, string> | undefined {
  try {
    read();
  } catch (error) {
    expect(error).toMatchObject({ code: "login_malformed" });
    return (error as TartanError).fields;
  }
  throw new Error("it was read");
}

describe("log events of Auth0", () => {
  it("a log stream of Auth0 is read in each of its formats: an array, an object, an object in each line, and an object with logs", () => {
    const [first, second] = [logEvent(), logEvent({ user_id: "google-oauth2|7" })];
    const both = {
      logins: [
        { userId: USER, at: AT },
        { userId: "google-oauth2|7", at: AT },
      ],
      ignored: 0,
    };
    const lines = `${JSON.stringify(first)}\n${JSON.stringify(second)}`;
    for (const body of [
      JSON.stringify([first, second]),
      JSON.stringify([first, second], null, 2),
      lines,
      `${lines}\r\n`,
    ])
      expect(auth0(body), body).toEqual(both);
    expect(auth0(JSON.stringify({ logs: [first, second] }))).toEqual(both);
    expect(auth0(JSON.stringify(first))).toEqual({ logins: [{ userId: USER, at: AT }], ignored: 0 });
    expect(auth0(`${JSON.stringify(first)}\n`)).toEqual({ logins: [{ userId: USER, at: AT }], ignored: 0 });
    expect(auth0("[]")).toEqual({ logins: [], ignored: 0 });
  });

  it("log events that are no logins, or that name no usable user, are ignored and not refused", () => {
    const others = ["f", "fp", "slo", "ss", "sapi", "seccft", "S", ""].map((type) => logEvent({ type }));
    const nameless = [undefined, null, "", 7, "a\0b", "x".repeat(201)].map((user_id) => logEvent({ user_id }));
    const noData = { ...logEvent(), data: "s" };
    const odd = [null, 5, "s", [], {}, { data: null }, { data: [] }, noData, { data: { type: ["s"] } }];
    const given = [...others, ...nameless.slice(1), logEvent({ user_id: {} }), ...odd];
    expect(auth0(JSON.stringify([logEvent(), ...given]))).toEqual({
      logins: [{ userId: USER, at: AT }],
      ignored: given.length,
    });
  });

  it("a listener can count other log events of Auth0 as logins, such as silent authentication", () => {
    const body = JSON.stringify([logEvent(), logEvent({ type: "ssa", user_id: "auth0|2" })]);
    expect(auth0(body, ["ssa"])).toEqual({ logins: [{ userId: "auth0|2", at: AT }], ignored: 1 });
  });

  it("a log event that Auth0 sends twice in one request, with the same log_id, is one login", () => {
    expect(auth0(JSON.stringify([logEvent(), logEvent()]))).toEqual({ logins: [{ userId: USER, at: AT }], ignored: 0 });
  });

  it("a body that is as large, as deep or as odd as its limit allows is read or refused, and harms nothing", () => {
    const numbers = `[${"1,".repeat(500_000)}${JSON.stringify(logEvent())}]`;
    expect(auth0(numbers)).toEqual({ logins: [{ userId: USER, at: AT }], ignored: 500_000 });
    const deep = "[".repeat(400_000) + "]".repeat(400_000);
    expect(auth0(deep)).toEqual({ logins: [], ignored: 1 });
    expect(auth0(`{"data":${deep}}`)).toEqual({ logins: [], ignored: 1 });
    expect(auth0(`[{"__proto__":{"type":"s","user_id":"a"}}]`)).toEqual({ logins: [], ignored: 1 });
    const compressed = gzipSync(JSON.stringify([logEvent()])).toString("latin1");
    expect(refusalOf(() => auth0(compressed))).toEqual({ body: expect.any(String) });
  });

  it("several logins of a user in one request are one, the latest", () => {
    const dates = ["2026-11-20T10:00:00.000Z", "2026-11-20T12:00:00.000Z", "2026-11-20T11:00:00.000Z"];
    const body = JSON.stringify(dates.map((date) => logEvent({ date })));
    expect(auth0(body)).toEqual({ logins: [{ userId: USER, at: new Date(dates[1] ?? "") }], ignored: 0 });
  });

  it("a login whose date cannot be read counts as one of now", () => {
    for (const date of ["yesterday", "", "-000001-01-01T00:00:00Z", "+275760-09-13T00:00:00.000Z"])
      expect(auth0(JSON.stringify(logEvent({ date }))).logins, date).toEqual([{ userId: USER, at: null }]);
  });

  it("the prefix of a provider is cut only off ids that begin with it", () => {
    const body = JSON.stringify(
      [USER, "google-oauth2|7", "auth0|", "x|auth0|9"].map((user_id) => logEvent({ user_id })),
    );
    expect(auth0(body, LOGIN_EVENTS, "auth0|").logins.map(({ userId }) => userId)).toEqual([
      "618223a4e3f49e006948565c",
      "google-oauth2|7",
      "auth0|",
      "x|auth0|9",
    ]);
  });

  it("a body that holds no log events at all is refused", () => {
    for (const body of ["", "{", "null", "7", '"s"', "s\nf", '{"data":{}}\n{', "1\n2"])
      expect(
        refusalOf(() => auth0(body)),
        body,
      ).toEqual({ body: expect.stringContaining("log events as JSON") });
  });
});

describe("logins from your own system", () => {
  it("your own system posts one login or many, each with a user and perhaps an instant", () => {
    expect(own({ user_id: "u-1" })).toEqual({ logins: [{ userId: "u-1", at: null }], ignored: 0 });
    expect(
      own([
        { user_id: "u-1", at: "2026-11-20T18:03:29.051+01:00" },
        { user_id: "u-2", at: null, extra: 1 },
      ]),
    ).toEqual({
      logins: [
        { userId: "u-1", at: AT },
        { userId: "u-2", at: null },
      ],
      ignored: 0,
    });
    expect(own([{ user_id: "u-1", at: AT }, { user_id: "u-1" }]).logins).toEqual([{ userId: "u-1", at: null }]);
    expect(own({ user_id: "app|u-1" }, "app|").logins).toEqual([{ userId: "u-1", at: null }]);
    expect(own([])).toEqual({ logins: [], ignored: 0 });
  });

  it("an entry of your own that names no user is refused with its place and its field, and without its value", () => {
    expect(refusalOf(() => own([{ user_id: "u" }, { user: "secret-1" }, { user_id: "u", at: "secret-2" }]))).toEqual({
      "1.user_id": "is required",
      "2.at": "must be a time such as 2026-11-20T17:03:29Z",
    });
    expect(refusalOf(() => own({ user_id: 7 }))).toEqual({ user_id: expect.any(String) });
    expect(refusalOf(() => own("7"))).toEqual({ body: expect.any(String) });
    expect(refusalOf(() => own("[7]"))).toEqual({ "0.body": expect.any(String) });
    expect(refusalOf(() => own("{"))).toEqual({ body: expect.stringContaining("must be JSON") });
    expect(Object.keys(refusalOf(() => own(Array.from({ length: 900 }, () => ({})))) ?? {})).toHaveLength(5);
  });
});
