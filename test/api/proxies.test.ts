import Fastify from "fastify";
import { expect, test } from "vitest";
import { trustIn } from "../../src/api/proxies.ts";

const LISTS = [["10.0.0.0/8"], ["10.0.0.1", "192.168.7.0/24"], ["2001:db8::/32", "127.0.0.1"], ["::1"]];
const NEAREST = ["10.0.0.1", "10.9.9.9", "::ffff:10.0.0.1", "192.168.7.3", "2001:db8::7", "203.0.113.9", "::1"];
const HEADERS = [
  undefined,
  "198.51.100.7",
  "198.51.100.7, 10.0.0.1",
  "198.51.100.7,10.0.0.1 , 192.168.7.9",
  "10.0.0.1, 198.51.100.7",
  "::ffff:10.0.0.1, ::ffff:10.0.0.2",
  "nonsense, 10.0.0.1",
  "",
];

async function seen(trustProxy: string[] | ReturnType<typeof trustIn>): Promise<string[]> {
  await using app = Fastify({ trustProxy });
  app.get("/", async ({ ip }) => ip);
  const addresses: string[] = [];
  for (const header of HEADERS)
    for (const remoteAddress of NEAREST) {
      const headers = header === undefined ? {} : { "x-forwarded-for": header };
      addresses.push((await app.inject({ url: "/", remoteAddress, headers })).body);
    }
  return addresses;
}

test("a sender's address behind proxies is the one that Fastify reads from the same list", async () => {
  for (const list of LISTS) expect(await seen(trustIn(list)), list.join(" ")).toEqual(await seen(list));
  expect(trustIn([])).toBe(false);
});
