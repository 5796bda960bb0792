/**
 * Writes the OpenAPI document into a file, for the build. To make it takes half a second (for each schema its JSON schema), in which a
 * server could accept no webhook, so a built Tartan reads it from the file. It has
 * every route that a server with the role `api` has, and nothing that differs between servers.
 */
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import Fastify from "fastify";
import { serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { documentOf } from "./docs/openapi.ts";
import { DOCUMENT_FILE } from "./docs/reference.ts";
import type { ApiDeps } from "./http/operation.ts";
import { validatorCompiler } from "./http/validation.ts";
import { probes } from "./nouns/probes.ts";
import { restApi } from "./rest.ts";
import type { ServerDeps } from "./server.ts";

/** Makes the document of all routes, gzipped JSON. */
export async function makeDocument(): Promise<Buffer> {
  const app = Fastify().withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await restApi(app, NOBODY_ASKS as unknown as ApiDeps);
  await app.register(async (inner) => probes(inner, NOBODY_ASKS));
  await app.ready();
  const made = await promisify(gzip)(JSON.stringify(documentOf(app)));
  await app.close();
  return made;
}

/** Stands in for all that the routes would use to answer: they answer nothing here. */
const NOBODY_ASKS = new Proxy(() => undefined, {
  get: () => NOBODY_ASKS,
  apply: () => NOBODY_ASKS,
}) as unknown as ServerDeps;

/** Writes it where a built Tartan looks for it. */
export async function writeDocument(): Promise<void> {
  await writeFile(DOCUMENT_FILE, await makeDocument());
}
