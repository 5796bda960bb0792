import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // One Postgres server for all files, a database for each; two cores.
    pool: "forks",
    // Each process loads the code once for all of its files: loading it again for each costs a third of the run. So a test that changes
    // what belongs to the process, such as its environment, puts it back. Many tests wait, so more processes than cores are of use.
    isolate: false,
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 90_000,
    // On a loaded machine a second is not long enough for what happens elsewhere, such as in another process.
    expect: { poll: { timeout: 15_000 } },
  },
});
