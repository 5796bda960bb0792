import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startWorld, type World } from "../../support/world/index.ts";

const scalarFile = (name: string) => new URL(`../../../src/api/docs/scalar/${name}`, import.meta.url);
const sha384 = (bytes: Buffer) => createHash("sha384").update(bytes).digest();

let world: World<"api">;
let page: string;
beforeAll(async () => {
  world = await startWorld({ api: {} });
  page = (await world.api.call("GET /docs", { key: null })).text;
});
afterAll(() => world[Symbol.asyncDispose]());

interface Raw {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** A request without a key, whose answer is left as it came; `fetch` would decompress it. */
async function raw(path: string, acceptEncoding?: string): Promise<Raw> {
  return await new Promise((resolve, reject) => {
    const headers = acceptEncoding === undefined ? {} : { "accept-encoding": acceptEncoding };
    const request = httpRequest(world.api.url + path, { headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
      );
    });
    request.on("error", reject).end();
  });
}

const assets = () =>
  [...page.matchAll(/(?:src|href)="(\/docs\/[^"]+)"(?: integrity="([^"]+)")?/g)].map(([, path = "", integrity]) => ({
    path,
    integrity,
  }));

describe("the reference page", () => {
  it("the reference page has a policy that admits this server's own files, and no inline script and no eval", async () => {
    const { headers } = await raw("/docs");
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(headers["content-security-policy"]).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self'; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(page).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=/i);
  });

  it("the reference page and its own script and style name no other host", async () => {
    const own = assets().filter(({ path }) => !/scalar|icon/.test(path));
    expect(own).toHaveLength(3);
    for (const text of [page, ...(await Promise.all(own.map(async ({ path }) => String((await raw(path)).body))))])
      expect(text).not.toMatch(/https?:|["'(]\/\/|@import|url\(/);
  });

  it("the reference page loads five files, each cached for ever under a name with the hash of its content", async () => {
    expect(assets()).toHaveLength(5);
    for (const { path, integrity } of assets()) {
      const { status, headers, body } = await raw(path);
      const hash = sha384(body);
      expect([path, status, headers["cache-control"]]).toEqual([path, 200, "public, max-age=31536000, immutable"]);
      expect(headers["x-content-type-options"]).toBe("nosniff");
      expect(path).toContain(`-${hash.toString("hex", 0, 8)}.`);
      if (!path.endsWith(".svg")) expect([path, integrity]).toEqual([path, `sha384-${hash.toString("base64")}`]);
    }
  });

  it("the files of the reference page are sent compressed to clients that accept gzip, and unchanged to others", async () => {
    for (const path of ["/openapi.json", ...assets().map(({ path }) => path)]) {
      const [plain, refused, compressed] = await Promise.all([
        raw(path),
        raw(path, "br, gzip;q=0"),
        raw(path, "br, gzip"),
      ]);
      expect([path, plain.headers["content-encoding"], refused.headers["content-encoding"]]).toEqual([
        path,
        undefined,
        undefined,
      ]);
      expect([path, compressed.headers["content-encoding"], compressed.headers["vary"]]).toEqual([
        path,
        "gzip",
        "accept-encoding",
      ]);
      expect(gunzipSync(compressed.body).equals(plain.body) && refused.body.equals(plain.body)).toBe(true);
    }
  });

  it("the reference page shows a link to the OpenAPI document to a reader without JavaScript", () => {
    expect(page).toMatch(/<div id="reference">\s*<p id="waiting">[^]*<a href="\/openapi.json">openapi.json<\/a>/);
  });

  it("a file of the reference page with the name of another version, or outside the folder, is 404", async () => {
    for (const path of ["/docs/scalar-0.0.0-0000.js", "/docs/..%2F..%2Fpackage.json", "/docs/release.json"]) {
      const { status, headers, body } = await raw(path);
      expect([path, status, headers["cache-control"]]).toEqual([path, 404, "no-store"]);
      expect(JSON.parse(String(body))).toMatchObject({ error: { code: "not_found" } });
    }
  });
});

describe("the pinned release of Scalar", () => {
  it("the pinned release of Scalar is the script whose hash is recorded beside it", () => {
    const release = JSON.parse(readFileSync(scalarFile("release.json"), "utf8")) as Record<string, string>;
    const script = gunzipSync(readFileSync(scalarFile("standalone.js.gz")));
    expect(release).toMatchObject({
      package: "@scalar/api-reference",
      license: "MIT",
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    expect(release["script"]).toBe(`sha384-${sha384(script).toString("base64")}`);
  });

  it("the pinned release of Scalar bundles packages under licences that this project may pass on, and names each", () => {
    const text = readFileSync(scalarFile("bundled-licenses.txt"), "utf8");
    const licences = [...text.matchAll(/^\S+ \d+\.\d+\.\d+\S*: (.+)$/gm)].map(([, licence]) => licence);
    expect(licences.length).toBeGreaterThan(100);
    const permitted = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"]);
    expect(licences.filter((licence) => !permitted.has(licence ?? ""))).toEqual([]);
  });
});
