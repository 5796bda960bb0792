/**
 * The reference at /docs: Scalar's API reference shows the OpenAPI document in the browser, with a form to try each
 * operation. The page loads only this server's files, under names with their hash. scalar/release.json pins the release of
 * Scalar, and scripts/scalar.mjs changes it.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import { TartanError } from "../../errors.ts";
import { addHeaders } from "../http/answers.ts";
import { documentOf } from "./openapi.ts";
import type { Api } from "../http/operation.ts";

/**
 * Allows only this server's own files. Scalar's script makes style elements and attributes, so styles may be
 * inline; they can load nothing from elsewhere, since all other sources are forbidden.
 */
export const REFERENCE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCALAR = JSON.parse(readFileSync(fileOf("scalar/release.json"), "utf8")) as { version: string; script: string };

interface Asset {
  /** its path, with its hash, so browsers may cache it without end */
  path: string;
  type: string;
  /** the hash that a browser checks before it runs the file */
  integrity: string;
  gzipped(): Promise<Buffer>;
}

const TYPES = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

const ASSETS = {
  scalar: asset(`scalar-${SCALAR.version}`, "js", SCALAR.script, () => readFile(fileOf("scalar/standalone.js.gz"))),
  prepare: ownAsset("prepare", "js"),
  page: ownAsset("page", "js"),
  style: ownAsset("page", "css"),
  icon: ownAsset("icon", "svg"),
};

/** The page is the same for every server: what it says of this one is in /openapi.json. */
export const REFERENCE_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width,initial-scale=1">
    <title>Tartan API</title>
    <link rel="icon" href="${ASSETS.icon.path}">
    <link rel="stylesheet" href="${ASSETS.style.path}" integrity="${ASSETS.style.integrity}">
    <link rel="preload" href="/openapi.json" as="fetch" crossorigin>
    <script src="${ASSETS.prepare.path}" integrity="${ASSETS.prepare.integrity}" defer></script>
    <script src="${ASSETS.scalar.path}" integrity="${ASSETS.scalar.integrity}" defer></script>
    <script src="${ASSETS.page.path}" integrity="${ASSETS.page.integrity}" type="module"></script>
  </head>
  <body>
    <div id="reference">
      <p id="waiting">The reference is drawn from <a href="/openapi.json">openapi.json</a> by JavaScript; without it, read that.</p>
    </div>
  </body>
</html>
`;

/** `/openapi.json`, `/docs`, and the files of the page. Register when `open` has no hooks that ask for a key. */
export function referenceRoutes(open: Api): void {
  const hide = { schema: { hide: true } };
  let document: Promise<Buffer> | undefined;
  const documented = () => (document ??= readOrMake(open));

  open.get("/openapi.json", hide, async (request, reply) => {
    addHeaders(request, reply);
    reply.header("cache-control", "no-cache").type("application/json; charset=utf-8");
    return sendGzipped(request, reply, await documented());
  });

  open.get("/docs", hide, async (request, reply) => {
    addHeaders(request, reply);
    reply.header("cache-control", "no-cache").header("content-security-policy", REFERENCE_POLICY);
    return reply.type("text/html; charset=utf-8").send(REFERENCE_PAGE);
  });

  const assets = new Map(Object.values(ASSETS).map((asset) => [asset.path, asset]));
  open.get("/docs/:file", hide, async (request, reply) => {
    addHeaders(request, reply);
    const asset = assets.get(`/docs/${(request.params as { file: string }).file}`);
    if (!asset) throw new TartanError("not_found", "The reference has no such file; its page is /docs.");
    reply.header("cache-control", "public, max-age=31536000, immutable").type(asset.type);
    return sendGzipped(request, reply, await asset.gzipped());
  });
}

/** The file that the build wrote. Without a build, as in tests, the document is made of the routes, which blocks the process for half a second. */
async function readOrMake(open: Api): Promise<Buffer> {
  try {
    return await readFile(DOCUMENT_FILE);
  } catch {
    return await promisify(gzip)(JSON.stringify(documentOf(open)));
  }
}

async function sendGzipped(request: FastifyRequest, reply: FastifyReply, body: Buffer): Promise<FastifyReply> {
  reply.header("vary", "accept-encoding");
  const accepted = request.headers["accept-encoding"] ?? "";
  if (!/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(String(accepted)))
    return reply.send(await promisify(gunzip)(body));
  return reply.header("content-encoding", "gzip").send(body);
}

function asset(name: string, kind: keyof typeof TYPES, integrity: string, gzipped: Asset["gzipped"]): Asset {
  const short = Buffer.from(integrity.replace(/^sha384-/, ""), "base64").toString("hex", 0, 8);
  return { path: `/docs/${name}-${short}.${kind}`, type: TYPES[kind], integrity, gzipped };
}

function ownAsset(name: string, kind: keyof typeof TYPES): Asset {
  const content = readFileSync(fileOf(`${name}.${kind}`));
  const integrity = `sha384-${createHash("sha384").update(content).digest("base64")}`;
  return asset(name, kind, integrity, () => promisify(gzip)(content));
}

/** Where the build writes the OpenAPI document, gzipped. */
export const DOCUMENT_FILE = fileOf("openapi.json.gz");

/** A file in this folder, in src/ and in dist/. */
function fileOf(path: string): URL {
  return new URL(path, import.meta.url);
}
