/**
 * The Dockerfile, followed instruction by instruction in folders of this machine: its stages are built from the files that it
 * copies, and what the image starts runs as an unprivileged user. No container runtime is needed.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { DockerfileParser } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dirname, "../..");
const text = readFileSync(join(root, "deploy/Dockerfile"), "utf8");
const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
/** The image's user exists in the image only; here a user that owns nothing stands in for it, or the user that runs the test. */
const user = isRoot ? { uid: 65_534, gid: 65_534 } : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

interface Stage {
  /** stands for / */
  folder: string;
  workdir: string;
  env: Record<string, string>;
  user: string;
  volumes: string[];
  command: { entrypoint: string[]; cmd: string[]; healthcheck: string[] };
}

class Image {
  readonly stages = new Map<string, Stage>();
  stage: Stage | undefined;

  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get last(): Stage {
    if (!this.stage) throw new Error("the Dockerfile has no stage");
    return this.stage;
  }

  /** Where an absolute path of the image is here; one that is not absolute is below the working directory. */
  at(path: string, stage = this.last): string {
    return path.startsWith("/") ? join(stage.folder, path) : join(stage.folder, stage.workdir, path);
  }

  async follow(keyword: string, args: string): Promise<void> {
    const words = args.split(/\s+/);
    const { stage } = this;
    switch (keyword) {
      case "FROM":
        return this.from(words);
      case "WORKDIR":
        return void ((this.last.workdir = args), mkdirSync(this.at("."), { recursive: true }));
      case "COPY":
        return this.copy(words);
      case "RUN":
        return await this.run(args);
      case "ENV":
        return void Object.assign(this.last.env, Object.fromEntries(words.map((word) => word.split("="))));
      case "USER":
        return void (this.last.user = args);
      case "VOLUME":
        return void this.last.volumes.push(...(JSON.parse(args) as string[]));
      case "ENTRYPOINT":
        return void (this.last.command.entrypoint = JSON.parse(args) as string[]);
      case "CMD":
        return void (this.last.command.cmd = JSON.parse(args) as string[]);
      case "HEALTHCHECK":
        return void (this.last.command.healthcheck = JSON.parse(args.slice(args.indexOf("["))) as string[]);
      case "EXPOSE":
        return expect(args).toBe("4400");
      case "STOPSIGNAL":
        return expect(args).toBe("SIGTERM");
      default:
        throw new Error(
          `${keyword} is new in the Dockerfile, in stage ${[...this.stages.keys()].at(-1)}: ${stage?.folder}`,
        );
    }
  }

  from([base = "", , name = "final"]: string[]): void {
    const folder = join(this.folder, name);
    const before = this.stages.get(base);
    const command = { entrypoint: [], cmd: [], healthcheck: [] };
    this.stage = { folder, workdir: before?.workdir ?? "/", env: {}, user: "", volumes: [], command };
    this.stages.set(name, this.stage);
    for (const path of ["usr/local/bin"]) mkdirSync(join(folder, path), { recursive: true });
    // Packages are installed anew in a stage that builds on another.
    const filter = (path: string) => basename(path) !== "node_modules";
    if (before) cpSync(before.folder, folder, { recursive: true, verbatimSymlinks: true, filter });
    else expect(base, "the examples run on Node 24").toMatch(/^node:24-/);
  }

  copy(words: string[]): void {
    const from = words[0]?.startsWith("--from=") ? this.stages.get(words[0].slice("--from=".length)) : undefined;
    const paths = words.filter((word) => !word.startsWith("--"));
    const target = this.at(paths.pop() ?? "");
    for (const path of paths) {
      const source = from ? this.at(path, from) : join(root, path);
      const into = paths.length > 1 || words.at(-1)?.endsWith("/") ? join(target, basename(path)) : target;
      cpSync(source, into, { recursive: true, verbatimSymlinks: true });
    }
  }

  async run(args: string): Promise<void> {
    if (args.startsWith("npm ci")) return this.install(args.includes("--omit=dev"));
    const here = args
      .replaceAll(/(?<= )\/\S+/g, (path) => this.at(path))
      .replaceAll("1000:1000", `${user.uid}:${user.gid}`);
    await run("sh", ["-ec", here], { cwd: this.at(".") });
  }

  /** What `npm ci` would install, from what is installed here: by the lock file, with or without what it marks as dev. */
  install(production: boolean): void {
    rmSync(this.at("node_modules"), { recursive: true, force: true });
    if (!production) return symlinkSync(join(root, "node_modules"), this.at("node_modules"));
    const lock = JSON.parse(readFileSync(this.at("package-lock.json"), "utf8")) as {
      packages: Record<string, { dev?: boolean }>;
    };
    for (const [path, { dev }] of Object.entries(lock.packages)) {
      if (path === "" || dev || !existsSync(join(root, path))) continue;
      const nested = (from: string) => from.slice(join(root, path).length).startsWith("/node_modules");
      cpSync(join(root, path), this.at(path), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (from) => !nested(from),
      });
    }
  }

  /** Starts a command of the last stage as the container's first process would be started. */
  start(command: string[], env: Record<string, string>) {
    const mapped = command.map((word) => (word.startsWith("/") ? this.at(word) : word));
    const paths = Object.entries(this.last.env).map(([name, value]) => [
      name,
      value.startsWith("/") ? this.at(value) : value,
    ]);
    const child = spawn(mapped[0] === "node" ? process.execPath : (mapped[0] ?? ""), mapped.slice(1), {
      cwd: this.at("."),
      env: { PATH: process.env["PATH"] ?? "", ...(Object.fromEntries(paths) as Record<string, string>), ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(isRoot ? user : {}),
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (said += part.toString()));
    return { child, said: () => said, ended: once(child, "exit") };
  }
}

describe("the Dockerfile", () => {
  it("the Dockerfile passes its linter", () => {
    expect(validate(text)).toEqual([]);
  });

  it("the Dockerfile copies no file that its ignore file excludes, and no secret", () => {
    const kept = readFileSync(join(root, "deploy/Dockerfile.dockerignore"), "utf8").split("\n");
    expect(kept[0]).toBe("*");
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "));
    for (const path of copied) expect(kept).toContain(`!${path}`);
    expect(text).not.toMatch(/KEY|PASSWORD|SECRET/);
  });
});

describe("the image", () => {
  const folder = mkdtempSync(join(tmpdir(), "tartan-image-"));
  const image = new Image(folder);
  beforeAll(async () => {
    chmodSync(folder, 0o755);
    for (const instruction of DockerfileParser.parse(text).getInstructions()) {
      const keyword = instruction.getKeyword();
      await image.follow(keyword, instruction.getTextContent().slice(keyword.length).trim());
    }
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("the image runs as a user that is not root, given as a number, with one volume that is the data directory", () => {
    expect(image.last.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(image.last.volumes).toEqual([image.last.env["TARTAN_DATA_DIR"]]);
  });

  it("the image holds no development package and no source", () => {
    expect(existsSync(image.at("node_modules/fastify"))).toBe(true);
    for (const path of ["node_modules/vitest", "node_modules/typescript", "src"]) {
      expect(existsSync(image.at(path)), path).toBe(false);
    }
  });

  it("the image starts, becomes healthy, keeps its files in the volume, and ends with code 0 and no Postgres at SIGTERM", async () => {
    const { entrypoint, cmd, healthcheck } = image.last.command;
    const env = { TARTAN_PORT: String(await freePort()) };
    const isHealthy = async () => {
      const [code] = (await image.start(healthcheck, env).ended) as [number | null];
      return code === 0;
    };
    expect(await isHealthy()).toBe(false);
    const server = image.start([...entrypoint, ...cmd], env);
    try {
      await until("it is healthy", isHealthy);
      const postmaster = await findPostmaster(image.at("/data/postgres/data"));
      expect(postmaster?.status).toBe("ready");
      expect(readFileSync(`/proc/${server.child.pid}/status`, "utf8")).not.toMatch(/^Uid:\s+0\b/m);
      // The command is there by its name for `docker exec`.
      const status = image.start([...entrypoint, "status", "--json"], env);
      expect((await status.ended)[0], status.said()).toBe(0);
    } finally {
      server.child.kill("SIGTERM");
    }
    expect(await server.ended, server.said()).toEqual([0, null]);
    expect(await findPostmaster(image.at("/data/postgres/data"))).toBeNull();
    expect(await isHealthy()).toBe(false);
  }, 120_000);
});
