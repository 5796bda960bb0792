/** What a destination must look like: an invalid destination is refused with each error and without repeating a value. */
import { describe, expect, test } from "vitest";
import { TartanError } from "../../../src/errors.ts";
import {
  createDestination,
  listDestinations,
  updateDestination,
  type NewDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { AUTHORITY as CA } from "../certificates.ts";
import { PLACE, startWorld } from "../../support/world/index.ts";
import { STRICT, refusalOf } from "../support.ts";

describe("what is refused, with all its faults, and without repeating a value", () => {
  const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, "v"]));
  const TABLE: [string, Record<string, unknown>, string][] = [
    ["no URL", { url: undefined }, "url"],
    ["what is no URL", { url: "example.com" }, "url"],
    ["http", { url: "http://example.com" }, "url"],
    ["another scheme", { url: "ftp://example.com" }, "url"],
    ["credentials", { url: "https://user:hunter2@example.com" }, "url"],
    ["a user alone", { url: "https://user@example.com" }, "url"],
    ["a fragment", { url: "https://example.com/#a" }, "url"],
    ["an empty fragment", { url: "https://example.com/#" }, "url"],
    ["a URL that is too long", { url: `https://example.com/${"a".repeat(2000)}` }, "url"],
    ["one that is too long when it is written out", { url: `https://example.com/${"é".repeat(500)}` }, "url"],
    ["a name that is too long", { name: "x".repeat(201) }, "name"],
    ["a name that cannot be stored", { name: "a\0" }, "name"],
    ["a timeout below a second", { timeout_ms: 999 }, "timeout_ms"],
    ["a timeout above 30 seconds", { timeout_ms: 30_001 }, "timeout_ms"],
    ["a timeout that is no whole number", { timeout_ms: 1000.5 }, "timeout_ms"],
    ["a retry at once", { schedule: [0] }, "schedule.0"],
    ["more than 50 retries", { schedule: Array.from({ length: 51 }, () => 1) }, "schedule"],
    ["a retry after more than a week", { schedule: [1, 604_801] }, "schedule.1"],
    ["a rate of none", { rate_limit: { count: 0 } }, "rate_limit.count"],
    ["a window below a second", { rate_limit: { count: 1, window_ms: 999 } }, "rate_limit.window_ms"],
    ["a rate with a mistyped name", { rate_limit: { count: 1, window: 5 } }, "rate_limit.window"],
    ["no concurrency", { concurrency: 0 }, "concurrency"],
    ["too much concurrency", { concurrency: 257 }, "concurrency"],
    ["an ordering there is not", { ordering: "fifo" }, "ordering"],
    ["disabling too soon", { disable_after_s: 3599 }, "disable_after_s"],
    ["a mistyped name", { timeout: 5000 }, "timeout"],
    ["more than 20 headers", { headers: headers(21) }, "headers"],
    ["a header's name with a space", { headers: { "x y": "hunter2" } }, "headers"],
    ["a header's name with a line break", { headers: { "x\r\ny": "hunter2" } }, "headers"],
    ["a header with a line break", { headers: { "x-a": "hunter2\r\nx-b: 1" } }, "headers.x-a"],
    ["a header beyond ASCII", { headers: { "x-a": "hunter2é" } }, "headers.x-a"],
    ["a header that is too long", { headers: { "x-a": "v".repeat(4097) } }, "headers.x-a"],
    ["a header twice", { headers: { "x-a": "1", "X-A": "2" } }, "headers.X-A"],
    ["a certificate that is none", { ca: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }, "ca"],
    ["a text without a certificate", { ca: "hunter2" }, "ca"],
    ["a private key beside a certificate", { ca: `${CA}\n-----BEGIN PRIVATE KEY-----\nhunter2` }, "ca"],
    ["a scheme there is not", { signing_scheme: "v2" }, "signing_scheme"],
    ["a secret that is too short", { signing_secret: "whsec_aHVudGVyMg==" }, "signing_secret"],
    [
      "a secret of the other scheme",
      { signing_scheme: "v1a", signing_secret: `whsec_${"A".repeat(44)}` },
      "signing_secret",
    ],
    ...[
      "Host",
      "Content-Length",
      "content-type",
      "Connection",
      "Transfer-Encoding",
      "Plaid-Verification",
      "webhook-id",
      "Webhook-Signature",
      "webhook-anything",
      "tartan-attempt",
      "Proxy-Authorization",
      "Upgrade",
      "User-Agent",
    ].map((name): [string, Record<string, unknown>, string] => [
      `the header ${name}`,
      { headers: { [name]: "hunter2" } },
      `headers.${name}`,
    ]),
  ];

  test.for(TABLE)("%s", async ([, given, field]) => {
    const untouched = {
      database: null as never,
      vault: null as never,
      urls: { allowHttp: false, checkUrl: () => undefined },
    };
    const { code, fields, message } = await refusalOf(
      createDestination(untouched, { url: PLACE, ...given } as NewDestination),
    );
    expect([code, Object.keys(fields)]).toEqual(["invalid_request", [field]]);
    expect(message + JSON.stringify(fields)).not.toMatch(/hunter2|aHVudGVyMg/);
  });

  test("all errors of a destination are returned together", async () => {
    await using world = await startWorld(STRICT);
    const bad = { url: "x", timeout_ms: 1, ordering: "fifo", headers: { host: "a", "x-a": "\n" } };
    const { fields } = await refusalOf(createDestination(world.destinations, bad as unknown as NewDestination));
    expect(Object.keys(fields)).toEqual(["url", "headers.x-a", "headers.host", "timeout_ms", "ordering"]);
    expect(await listDestinations(world.database)).toEqual([]);
  });

  test("an http URL is accepted where TARTAN_RELAY_ALLOW_HTTP allows it", async () => {
    await using world = await startWorld(STRICT);
    const deps = { ...world.destinations, urls: { ...world.destinations.urls, allowHttp: true } };
    expect((await createDestination(deps, { url: "http://example.com" })).url).toBe("http://example.com/");
    expect((await refusalOf(createDestination(deps, { url: "ws://example.com" }))).fields).toHaveProperty("url");
  });

  test("a URL with a private address is refused with the guard's message", async () => {
    await using world = await startWorld(STRICT);
    const checkUrl = ({ hostname }: URL) => {
      if (hostname !== "127.0.0.1") return;
      throw new TartanError("invalid_request", "refused", { fields: { url: "is not on the public internet" } });
    };
    const deps = { ...world.destinations, urls: { allowHttp: false, checkUrl } };
    const { id } = await createDestination(deps, { url: PLACE });
    for (const work of [
      () => createDestination(deps, { url: "https://0x7f.1/" }),
      () => updateDestination(deps, id, { url: "https://2130706433/" }),
    ]) {
      expect((await refusalOf(work())).fields).toEqual({ url: "is not on the public internet" });
    }
  });
});
