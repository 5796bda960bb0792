/** Root's first start in a folder that the user whom Postgres runs as may not enter. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { avoidClosedFolder } from "../../../src/cli/wiring/closed-folder.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = it.skipIf(!isRoot);
if (!isRoot) process.stderr.write("not root: the tests of root's data directory are skipped\n");

/** A folder that only root may enter, and what becomes of an environment there. */
function inClosedFolder<T>(check: (folder: string, dataDir: (env?: NodeJS.ProcessEnv) => string | undefined) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "tartan-closed-"));
  try {
    return check(folder, (env = {}) => {
      avoidClosedFolder(env, folder);
      return env["TARTAN_DATA_DIR"];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

asRoot(
  "root's data directory in a closed folder is one of its own that every command in that folder finds again",
  () => {
    inClosedFolder((folder, dataDir) => {
      expect(dataDir()).toMatch(/^\/var\/lib\/tartan\/tartan-closed-\w+-[0-9a-f]{8}$/);
      expect(dataDir()).toBe(dataDir());
      inClosedFolder((other, otherDir) => expect([other === folder, otherDir() === dataDir()]).toEqual([false, false]));
    });
  },
);

asRoot("a data directory that exists or is named, and a database of one's own, are left as they are", () => {
  inClosedFolder((folder, dataDir) => {
    expect(dataDir({ TARTAN_DATA_DIR: "mine" })).toBe("mine");
    expect(dataDir({ TARTAN_DATABASE_URL: "postgresql://localhost/mine" })).toBeUndefined();
    mkdirSync(join(folder, ".tartan"));
    expect(dataDir()).toBeUndefined();
  });
});

asRoot("a folder that is opened after its first start keeps the data directory that it has", () => {
  inClosedFolder((folder, dataDir) => {
    const own = dataDir() ?? "";
    chmodSync(folder, 0o755);
    expect(dataDir()).toBeUndefined();
    mkdirSync(own, { recursive: true });
    try {
      expect(dataDir()).toBe(own);
    } finally {
      rmSync(own, { recursive: true });
    }
  });
});

asRoot("an open folder keeps its data in .tartan", () => {
  const env: NodeJS.ProcessEnv = {};
  avoidClosedFolder(env, tmpdir());
  expect(env["TARTAN_DATA_DIR"]).toBeUndefined();
});
