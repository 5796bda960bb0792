/** The proxy disturbs connections as it says, since other tests rely on it. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect, test } from "vitest";
import { tcpProxy, type TcpProxy } from "./proxy.ts";

interface Scene extends AsyncDisposable {
  proxy: TcpProxy;
  dial(): Promise<{ socket: Socket; got: () => string }>;
}

/** A server that echoes, behind the proxy. */
async function echo(): Promise<Scene> {
  const served = new Set<Socket>();
  const server = createServer((socket) => {
    served.add(socket);
    socket.on("error", () => undefined).pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const proxy = await tcpProxy(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const dialled: Socket[] = [];
  return {
    proxy,
    dial: async () => {
      const socket = connect(proxy.port, "127.0.0.1");
      dialled.push(socket);
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString())).on("error", () => undefined);
      await once(socket, "connect");
      return { socket, got: () => text };
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of [...dialled, ...served]) socket.destroy();
      await proxy[Symbol.asyncDispose]();
      server.close();
    },
  };
}

test("a frozen connection passes nothing until the thaw, and new ones pass meanwhile", async () => {
  await using scene = await echo();
  const frozen = await scene.dial();
  frozen.socket.write("a");
  await expect.poll(frozen.got).toBe("a");
  scene.proxy.freeze();
  frozen.socket.write("b");
  const fresh = await scene.dial();
  fresh.socket.write("c");
  await expect.poll(fresh.got).toBe("c");
  expect([frozen.got(), frozen.socket.readyState]).toEqual(["a", "open"]);
  scene.proxy.thaw();
  await expect.poll(frozen.got).toBe("ab");
});

test("a black hole accepts connections and stays silent until the thaw", async () => {
  await using scene = await echo();
  scene.proxy.blackHole();
  const lost = await scene.dial();
  lost.socket.write("x");
  await expect.poll(() => scene.proxy.open).toBe(1);
  expect(lost.got()).toBe("");
  scene.proxy.thaw();
  await expect.poll(lost.got).toBe("x");
});

test("the answer to a chosen request and all later answers on that connection are dropped", async () => {
  await using scene = await echo();
  const { socket, got } = await scene.dial();
  scene.proxy.freezeAnswersTo("commit");
  socket.write("begin");
  await expect.poll(got).toBe("begin");
  socket.write("COMMIT");
  const other = await scene.dial();
  other.socket.write("select");
  await expect.poll(other.got).toBe("select");
  expect(got()).toBe("begin");
});

/** Whether it ended with an error. */
const closed = (socket: Socket) => new Promise<boolean>((resolve) => socket.once("close", resolve));

test("a cut connection ends with an error at the client, and a refused one at once", async () => {
  await using scene = await echo();
  const { socket } = await scene.dial();
  await expect.poll(() => scene.proxy.open).toBe(1);
  const ended = closed(socket);
  scene.proxy.cut();
  expect(await ended).toBe(true);
  await expect.poll(() => scene.proxy.open).toBe(0);
  scene.proxy.refuse();
  const refused = connect(scene.proxy.port, "127.0.0.1").on("error", () => undefined);
  await closed(refused);
});
