import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeDocument } from "../../src/api/document.ts";
import { startWorld } from "../support/world/index.ts";

const read = async (gzipped: Buffer): Promise<unknown> =>
  JSON.parse((await promisify(gunzip)(gzipped)).toString("utf8")) as unknown;

it("the OpenAPI document that the build writes is the one that a server would make of its routes", async () => {
  await using world = await startWorld({ api: {} });
  const served = await fetch(`${world.api.url}/openapi.json`);
  const made = await read(await makeDocument());
  expect(made).toEqual(await served.json());
});

it("a build has the OpenAPI document in a file, so that no server has to make it", async () => {
  const built = join(import.meta.dirname, "../../dist/api/docs/openapi.json.gz");
  expect(await read(await readFile(built))).toEqual(await read(await makeDocument()));
});
