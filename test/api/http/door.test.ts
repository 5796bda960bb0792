import { Agent, request } from "node:http";
import { connect } from "node:net";
import { once } from "node:events";
import Fastify, { type FastifyInstance } from "fastify";
import { expect, it } from "vitest";
import { openDoor, type Door } from "../../../src/api/http/door.ts";

/** A handler that answers with its name, and on /slow only when it is released. */
async function handler(
  door: Door,
  name: string,
): Promise<{ app: FastifyInstance; release: () => void; log: string[] }> {
  const log: string[] = [];
  const app = Fastify();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  app.get("/", async () => name);
  app.get("/slow", async () => {
    log.push("asked");
    await released;
    log.push("answered");
    return name;
  });
  app.addHook("onClose", async () => void log.push("closed"));
  app.addHook("onClose", () => door.answered(app));
  await app.ready();
  return { app, release, log };
}

const address = { host: "127.0.0.1", port: 0 };

function ask(url: string, path: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { agent }, (answer) => {
      let text = "";
      answer.on("data", (part: Buffer) => (text += part.toString()));
      answer.on("end", () => resolve(text));
    });
    sent.on("error", reject).end();
  });
}

it("a handler is exchanged while requests come, and no connection is refused or ended", async () => {
  await using door = openDoor();
  await door.serve((await handler(door, "first")).app);
  const url = await door.listen(address);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  let connections = 0;
  door.server.on("connection", () => (connections += 1));
  const answers: string[] = [];
  const over = new AbortController();
  const clients = Array.from({ length: 4 }, async () => {
    while (!over.signal.aborted) answers.push(await ask(url, "/", agent));
  });
  await expect.poll(() => answers.length).toBeGreaterThan(50);
  await door.serve((await handler(door, "second")).app);
  await expect.poll(() => answers.filter((name) => name === "second").length).toBeGreaterThan(50);
  over.abort();
  await Promise.all(clients);
  agent.destroy();
  expect(answers.lastIndexOf("first")).toBeLessThan(answers.length - 50);
  expect(connections).toBe(4);
});

it("a handler that is replaced answers its requests before it is closed", async () => {
  await using door = openDoor();
  const first = await handler(door, "first");
  await door.serve(first.app);
  const url = await door.listen(address);
  const slow = fetch(`${url}/slow`);
  await expect.poll(() => first.log).toEqual(["asked"]);
  const replaced = door.serve((await handler(door, "second")).app);
  expect(await (await fetch(url)).text()).toBe("second");
  expect(first.log).toEqual(["asked"]);
  first.release();
  expect(await (await slow).text()).toBe("first");
  await replaced;
  expect(first.log).toEqual(["asked", "answered", "closed"]);
});

it("a door that closes answers what is under way, and its handler is closed after that", async () => {
  await using door = openDoor();
  const only = await handler(door, "only");
  await door.serve(only.app);
  const url = await door.listen(address);
  const slow = fetch(`${url}/slow`);
  await expect.poll(() => only.log).toEqual(["asked"]);
  const closed = door.close();
  only.release();
  expect((await slow).status).toBe(200);
  await closed;
  expect(only.log).toEqual(["asked", "answered", "closed"]);
  await expect(fetch(url)).rejects.toThrow();
});

it("bytes that are not HTTP reach the handler that serves now", async () => {
  await using door = openDoor();
  const seen: string[] = [];
  const listening = async (name: string): Promise<FastifyInstance> => {
    const app = Fastify({
      clientErrorHandler: (_error, socket) => {
        seen.push(name);
        socket.destroy();
      },
    });
    await app.ready();
    return app;
  };
  await door.serve(await listening("first"));
  const url = await door.listen(address);
  await door.serve(await listening("second"));
  const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write("not http\r\n\r\n"));
  socket.on("error", () => undefined);
  await once(socket, "close");
  expect(seen).toEqual(["second"]);
});

it("a port that is in use is refused with what to change", async () => {
  await using first = openDoor();
  await first.serve((await handler(first, "first")).app);
  const port = Number(new URL(await first.listen(address)).port);
  await using second = openDoor();
  await second.serve((await handler(second, "second")).app);
  await expect(second.listen({ host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "config_invalid",
    message: expect.stringContaining("TARTAN_PORT"),
  });
});

it("a door at localhost answers at every address of that name", async () => {
  await using door = openDoor();
  await door.serve((await handler(door, "here")).app);
  const port = Number(new URL(await door.listen({ host: "localhost", port: 0 })).port);
  const { lookup } = await import("node:dns/promises");
  for (const { address: one, family } of await lookup("localhost", { all: true })) {
    const host = family === 6 ? `[${one}]` : one;
    const text = await fetch(`http://${host}:${port}`).then(
      (answer) => answer.text(),
      (error: Error & { cause?: { code?: string } }) => error.cause?.code,
    );
    // A machine may have the name of an address that it does not have.
    if (text !== "EADDRNOTAVAIL") expect(text).toBe("here");
  }
});
