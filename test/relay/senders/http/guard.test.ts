import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createConnector } from "../../../../src/relay/senders/http/connector.ts";
import { createGuard } from "../../../../src/relay/senders/http/guard.ts";
import { answering, HELLO, receiver, resolver, sender } from "../../receivers.ts";

const closedGuard = createGuard({ allow: [] });

const REFUSED = {
  unspecified: ["0.0.0.0", "0.1.2.3", "::"],
  loopback: ["127.0.0.1", "127.255.255.254", "::1"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
  "link-local, where clouds keep their metadata": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1"],
  "carrier-grade NAT": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
  "unique-local": ["fc00::1", "fd00:ec2::254"],
  "IPv4-mapped, with any address inside": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"],
  "IPv4-compatible": ["::127.0.0.1", "::7f00:1", "::8.8.8.8"],
  "IPv4-translated": ["::ffff:0:127.0.0.1"],
  NAT64: ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::7f00:1", "64:ff9b:1:ffff::1"],
  "6to4": ["2002:7f00:1::", "2002:a9fe:a9fe::1", "192.88.99.1"],
  Teredo: ["2001::1", "2001:0:7f00:1::"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
  "reserved and broadcast": ["240.0.0.1", "255.255.255.255", "192.0.0.1", "4000::1", "100::1", "5f00::1"],
  documentation: ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
  benchmarking: ["198.18.0.1", "198.19.255.255", "2001:2::1"],
};

describe("an address", () => {
  test.each(Object.entries(REFUSED))("an address that is %s is refused", (_, addresses) => {
    for (const address of addresses) expect(closedGuard.allows(address), address).toBe(false);
  });

  test.each(["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "2606:4700::1", "2a00:1450::1"])(
    "an address of the public internet passes: %s",
    (address) => {
      expect(closedGuard.allows(address)).toBe(true);
    },
  );

  test.each(["", "localhost", "127.1", "0x7f.1", "2130706433", "10.0.0.1/8", "8.8.8.8:80", "[::1]"])(
    "a text that is not an address is refused: %j",
    (text) => {
      expect(closedGuard.allows(text)).toBe(false);
      expect(createGuard({ allow: ["0.0.0.0/0", "::/0"] }).allows(text)).toBe(false);
    },
  );

  test("an address that embeds another address is refused for every embedded address", () => {
    const forms = [
      (a: string) => `::ffff:${a}`,
      (a: string) => `::${a}`,
      (a: string) => `64:ff9b::${a}`,
      (a: string) => `64:ff9b:1::${a}`,
      (a: string) => `::ffff:0:${a}`,
    ];
    fc.assert(fc.property(fc.ipV4(), fc.constantFrom(...forms), (address, form) => !closedGuard.allows(form(address))));
  });
});

describe("the allow-list", () => {
  test("the allow-list allows an address exactly, and in no other form", () => {
    const guard = createGuard({ allow: ["127.0.0.1", "fd00::1"] });
    expect(["127.0.0.1", "fd00::1", "fd00:0::0:1"].map(guard.allows)).toEqual([true, true, true]);
    expect(["127.0.0.2", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::2", "::1"].map(guard.allows)).not.toContain(
      true,
    );
  });

  test("the allow-list allows a range", () => {
    const guard = createGuard({ allow: ["10.1.0.0/16", "fd00:1::/32", "192.168.0.77/31"] });
    expect(["10.1.0.0", "10.1.255.255", "fd00:1:2::3", "192.168.0.76"].map(guard.allows)).not.toContain(false);
    expect(["10.0.255.255", "10.2.0.0", "fd00:2::1", "192.168.0.78", "127.0.0.1"].map(guard.allows)).not.toContain(
      true,
    );
  });

  test.each(["localhost", "10.0.0.0/33", "10.0.0", "0x7f.1", "10.0.0.0/", "/8", "", "::1/129", "10.0.0.0/8/8", "*"])(
    "the allow-list that holds %j is refused, by the option's name",
    (text) => {
      expect(() => createGuard({ allow: ["10.0.0.1", text] })).toThrow(
        expect.objectContaining({
          code: "config_invalid",
          fields: { TARTAN_RELAY_ALLOWED_ADDRESSES: expect.stringContaining(`"${text}"`) as unknown },
        }),
      );
    },
  );
});

describe("a URL", () => {
  test.each([
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://0/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/latest/meta-data",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST:8443/",
    "https://a.localhost/",
    "https://10.0.0.1:8443/",
  ])("a URL with an address that is not allowed is refused: %s", (url) => {
    expect(() => closedGuard.check(url)).toThrow(
      expect.objectContaining({ code: "invalid_request", fields: { url: expect.any(String) as unknown } }),
    );
  });

  test("a URL with a name or a public address is checked when it is connected to", () => {
    for (const url of [
      "https://example.com/",
      "https://localhost.example.com",
      "https://8.8.8.8/",
      new URL("https://x.test"),
    ])
      expect(() => closedGuard.check(url)).not.toThrow();
  });

  test("a URL with an allowed address passes", () => {
    const guard = createGuard({ allow: ["127.0.0.1"] });
    for (const url of ["http://127.0.0.1:3000/", "http://localhost:3000/", "http://2130706433/"])
      expect(() => guard.check(url)).not.toThrow();
    expect(() => guard.check("http://127.0.0.2/")).toThrow();
  });
});

describe("a connection", () => {
  /** Answers with the next of `answers` each time, and with the last for ever after. */
  function changing(...answers: string[][]) {
    const asked: string[] = [];
    const lookup = async (hostname: string) => {
      const answer = answers[Math.min(asked.push(hostname), answers.length) - 1] ?? [];
      return answer.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    };
    return { lookup, asked };
  }

  test("a connection goes to the checked address, so a name that becomes private afterwards gains nothing", async () => {
    await using r = await receiver((response) => response.writeHead(200, { connection: "close" }).end(), {
      host: "0.0.0.0",
    });
    const { lookup, asked } = changing(["127.0.0.1"], ["127.0.0.2"]);
    await using s = sender(`http://rebind.test:${r.port}/`, { guard: createGuard({ allow: ["127.0.0.1"], lookup }) });
    expect(await s.send(HELLO)).toMatchObject({ cause: null, address: "127.0.0.1" });
    expect(asked, "one question a connection: none between the check and the connection").toHaveLength(1);
    expect(await s.send(HELLO)).toMatchObject({ cause: "address_refused", address: null });
    expect(asked).toHaveLength(2);
    expect(r.connections).toHaveLength(1);
  });

  test("a connection to a name with public and private addresses goes to a public one", async () => {
    await using r = await receiver((response) => response.end(), { host: "0.0.0.0" });
    const { lookup } = changing(["127.0.0.3", "::1", "169.254.169.254", "127.0.0.1", "127.0.0.2"]);
    await using s = sender(`http://mixed.test:${r.port}/`, { guard: createGuard({ allow: ["127.0.0.1"], lookup }) });
    expect(await s.send(HELLO)).toMatchObject({ cause: null, address: "127.0.0.1" });
    expect(r.connections).toHaveLength(1);
  });

  test.each([
    "127.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "localhost.",
  ])("a connection to a host that is an address or a name of this machine is checked too: %s", async (host) => {
    await using r = await answering(200);
    const guard = createGuard({ allow: [], lookup: resolver({ "localhost.": ["127.0.0.1", "::1"] }) });
    await using s = sender(`http://${host}:${r.port}/`, { guard });
    expect(await s.send(HELLO)).toMatchObject({ cause: "address_refused", address: null });
    expect(r.connections).toHaveLength(0);
  });

  test("a connection to a private address by https is refused too", async () => {
    await using r = await receiver((response) => response.end(), { secure: true });
    const guard = createGuard({ allow: [], lookup: resolver({ "receiver.test": ["127.0.0.1"] }) });
    for (const host of ["receiver.test", "127.0.0.1"]) {
      await using s = sender(`https://${host}:${r.port}/`, { guard });
      expect(await s.send(HELLO)).toMatchObject({ cause: "address_refused" });
    }
    expect(r.connections).toHaveLength(0);
  });

  test("a connection is cut before a byte is sent when its remote address is not allowed", async () => {
    await using r = await answering(200);
    const lying = {
      ...createGuard({ allow: ["127.0.0.1"], lookup: resolver({ "x.test": ["127.0.0.1"] }) }),
      allows: () => false,
    };
    await using s = sender(`http://x.test:${r.port}/`, { guard: lying });
    expect(await s.send(HELLO)).toMatchObject({ cause: "address_refused", address: null });
    expect(r.received).toHaveLength(0);
  });

  test("a connection shares one query for a name with connections made at the same time", async () => {
    await using r = await answering(200);
    const { lookup, asked } = changing(["127.0.0.1"]);
    await using s = sender(`http://busy.test:${r.port}/`, { guard: createGuard({ allow: ["127.0.0.1"], lookup }) });
    const exchanges = await Promise.all(Array.from({ length: 8 }, () => s.send(HELLO)));
    expect(exchanges.map(({ cause }) => cause)).toEqual(Array(8).fill(null));
    expect(r.connections).toHaveLength(8);
    expect(asked).toHaveLength(1);
  });

  test("a connection that is refused at once calls back asynchronously", async () => {
    const connect = createConnector({ guard: closedGuard, ca: null, timeoutMs: 1000 });
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      connect({ hostname: "127.0.0.1", protocol: "http:", port: "80" }, () => {
        order.push("refused");
        resolve();
      });
      order.push("went on");
    });
    expect(order).toEqual(["went on", "refused"]);
  });
});
