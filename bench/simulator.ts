/** The simulator in a process of its own, so that its work is not done on the loop of what is measured. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";

export interface SimulatorProcess extends AsyncDisposable {
  url: string;
  pid: number;
  clientId: string;
  secret: string;
  post<T>(path: string, body: unknown): Promise<T>;
  get<T>(path: string): Promise<T>;
}

const PROGRAM = `
  const { startSimulator } = await import(process.argv[1]);
  const simulator = await startSimulator({ port: 0, rateLimits: false, seed: "bench" });
  console.log(JSON.stringify({ url: simulator.url, clientId: simulator.clientId, secret: simulator.secret }));
`;

export async function startSimulatorProcess(): Promise<SimulatorProcess> {
  const module = join(import.meta.dirname, "../dist/simulator/index.js");
  const child = spawn(process.execPath, ["--input-type=module", "--eval", PROGRAM, module], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const first = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const { url, clientId, secret } = JSON.parse(String(first.value)) as Record<"url" | "clientId" | "secret", string>;
  const ask = async <T>(path: string, init: RequestInit): Promise<T> => {
    const answer = await fetch(url + path, init);
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  return {
    url,
    pid: child.pid ?? 0,
    clientId,
    secret,
    get: (path) => ask(path, {}),
    post: (path, body) =>
      ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    [Symbol.asyncDispose]: async () => void child.kill("SIGKILL"),
  };
}
