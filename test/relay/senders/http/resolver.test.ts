import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createGuard } from "../../../../src/relay/senders/http/guard.ts";
import { createResolver, type ResolverOptions } from "../../../../src/relay/senders/http/resolver.ts";
import { answering, HELLO, sender } from "../../receivers.ts";
import { until } from "../../../support/until.ts";

interface NameServer extends AsyncDisposable {
  address: string;
  /** the names that were asked for, once for each kind of address */
  asked: string[];
}

/**
 * A real name server on loopback. Of names it does not know it says so; for those that are `silent` it does not answer,
 * and for those that are `failing` it answers SERVFAIL.
 */
async function nameServer(names: Record<string, string[] | "silent" | "failing">): Promise<NameServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (question, from) => {
    const name = nameIn(question);
    asked.push(name);
    const found = names[name];
    if (found !== "silent") reply(socket, question, from, found);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    [Symbol.asyncDispose]: async () => void socket.close(),
  };
}

function nameIn(question: Buffer): string {
  const labels: string[] = [];
  for (let at = 12, length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  return labels.join(".").toLowerCase();
}

/** RFC 1035: the question again, and an A record for each address that is asked for. */
function reply(
  socket: Socket,
  question: Buffer,
  { port, address }: RemoteInfo,
  found: string[] | "failing" | undefined,
): void {
  const end = 12 + nameIn(question).length + 2 + 4;
  const isA = question.readUInt16BE(end - 4) === 1;
  const records = (isA && Array.isArray(found) ? found : []).map((each) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...each.split(".").map(Number)]),
  );
  const header = Buffer.alloc(12);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (found === undefined ? 3 : found === "failing" ? 2 : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  socket.send(Buffer.concat([header, question.subarray(12, end), ...records]), port, address);
}

/** A resolver that knows this name server and these files only. */
async function resolverOn(
  server: NameServer,
  files: { hosts?: string; resolv?: string } = {},
  more: ResolverOptions = {},
) {
  const folder = await mkdtemp(join(tmpdir(), "tartan-resolver-"));
  const [hostsFile, resolvConf] = [join(folder, "hosts"), join(folder, "resolv.conf")];
  await writeFile(hostsFile, files.hosts ?? "");
  await writeFile(resolvConf, files.resolv ?? "");
  return {
    hostsFile,
    resolve: createResolver({ hostsFile, resolvConf, servers: [server.address], timeoutMs: 300, ...more }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const only = (address: string) => [{ address, family: address.includes(":") ? 6 : 4 }];

describe("the resolver of destinations", () => {
  it("the resolver of destinations resolves a name while the name servers of many others are silent", async () => {
    const silent = Array.from({ length: 32 }, (_, n) => `silent-${n}.test`);
    const names = Object.fromEntries(silent.map((name) => [name, "silent" as const]));
    await using server = await nameServer({ ...names, "good.test": ["192.0.2.7"] });
    await using it = await resolverOn(server, {}, { timeoutMs: 2000 });
    let failed = 0;
    const waiting = silent.map((name) => it.resolve(name).catch(() => (failed += 1)));
    await until("all are asked for", async () => silent.every((name) => server.asked.includes(name)), 10);
    expect(await it.resolve("good.test")).toEqual(only("192.0.2.7"));
    expect(failed, "the silent ones are still waited for").toBe(0);
    await Promise.all(waiting);
    expect(failed).toBe(32);
  });

  it("the resolver of destinations distinguishes a name that does not exist from one that no server answered for", async () => {
    await using server = await nameServer({ "silent.test": "silent", "empty.test": [] });
    await using it = await resolverOn(server);
    await expect(it.resolve("unknown.test")).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(it.resolve("empty.test")).rejects.toMatchObject({ code: "ENOTFOUND" });
    await expect(it.resolve("silent.test")).rejects.toMatchObject({ code: "EAI_AGAIN" });
  });

  it("the resolver of destinations reads the hosts file first, and again when the file has changed", async () => {
    await using server = await nameServer({ "app.test": ["192.0.2.1"] });
    await using it = await resolverOn(server, {
      hosts: "# ours\n192.0.2.2\tApp.test alias.test # why\nnonsense app.test\n",
    });
    expect(await it.resolve("app.test")).toEqual(only("192.0.2.2"));
    expect(await it.resolve("alias.test.")).toEqual(only("192.0.2.2"));
    expect(server.asked).toEqual([]);
    await writeFile(it.hostsFile, "192.0.2.30 other.test\n");
    expect(await it.resolve("app.test")).toEqual(only("192.0.2.1"));
    expect(await it.resolve("localhost")).toMatchObject([{ address: "127.0.0.1" }, { address: "::1" }]);
  });

  it("the resolver of destinations tries the search list of resolv.conf for short names, and last for long ones", async () => {
    await using server = await nameServer({
      "app.svc.test": ["192.0.2.4"],
      "a.b.c": ["192.0.2.5"],
      "a.b.c.svc.test": ["192.0.2.6"],
    });
    await using it = await resolverOn(server, { resolv: "search svc.test other.test\noptions timeout:1 ndots:2\n" });
    expect(await it.resolve("app")).toEqual(only("192.0.2.4"));
    expect(await it.resolve("a.b.c")).toEqual(only("192.0.2.5"));
    expect(server.asked).not.toContain("a.b.c.svc.test");
    await expect(it.resolve("app.")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("the resolver of destinations tries the next name of the search list when the servers of one fail", async () => {
    await using server = await nameServer({
      "api.example.test.svc.test": "failing",
      "api.example.test.other.test": "silent",
      "api.example.test": ["192.0.2.8"],
      "gone.example.test.svc.test": "failing",
    });
    await using it = await resolverOn(server, { resolv: "search svc.test other.test\noptions ndots:5\n" });
    expect(await it.resolve("api.example.test")).toEqual(only("192.0.2.8"));
    await expect(it.resolve("gone.example.test")).rejects.toMatchObject({ code: "EAI_AGAIN" });
  });

  it("the resolver of destinations reaches a receiver only through the guard", async () => {
    await using server = await nameServer({ "inside.test": ["127.0.0.1"] });
    await using it = await resolverOn(server);
    await using receiver = await answering(200);
    const url = `http://inside.test:${receiver.port}/`;
    await using open = sender(url, { guard: createGuard({ allow: ["127.0.0.1"], lookup: it.resolve }) });
    expect(await open.send(HELLO)).toMatchObject({ status: 200, address: "127.0.0.1" });
    await using shut = sender(url, { guard: createGuard({ allow: [], lookup: it.resolve }) });
    expect(await shut.send(HELLO)).toMatchObject({ cause: "address_refused" });
    await using unknown = sender("http://unknown.test/", { guard: createGuard({ allow: [], lookup: it.resolve }) });
    expect(await unknown.send(HELLO)).toMatchObject({ cause: "dns_failed" });
  });
});
