import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makeCluster } from "../../src/embedded/cluster.ts";
import { until } from "../support/until.ts";

let dataDir = "";
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "tartan-cluster-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 }));

/** Like initdb, it works through a child that goes on for a moment when it is stopped itself. */
const INITDB = `#!/bin/sh
(n=0; while [ $n -lt 3000 ]; do [ -d base ] || mkdir base || exit; echo x > base/$n; n=$((n + 1)); done) > /dev/null 2>&1 < /dev/null &
touch ../../begun
sleep 30
`;

it("a stopped initdb leaves no files behind, although its own Postgres still writes", async () => {
  const initdb = join(dataDir, "initdb");
  writeFileSync(initdb, INITDB);
  chmodSync(initdb, 0o755);
  const stop = new AbortController();
  const making = makeCluster({ dataDir, initdb, account: null, sync: false, signal: stop.signal });
  const ended = expect(making).rejects.toThrow("asked to stop");
  await until("initdb works", async () => readdirSync(dataDir).includes("begun"));
  stop.abort(new Error("asked to stop"));
  await ended;
  expect(readdirSync(dataDir).toSorted()).toEqual(["begun", "initdb"]);
});
