import { expect, it } from "vitest";
import { publicUrl } from "../../../src/cli/wiring/core.ts";
import { loadConfig } from "../../../src/config.ts";

const listening = (host: string): string => publicUrl(loadConfig({ TARTAN_HOST: host, TARTAN_PORT: "4400" }));

it("the URL of a server that listens on an IPv6 address has brackets, and one that listens everywhere is on loopback", () => {
  expect(["::1", "::", "0.0.0.0", "10.0.0.7", "tartan.internal"].map(listening)).toEqual([
    "http://[::1]:4400",
    "http://127.0.0.1:4400",
    "http://127.0.0.1:4400",
    "http://10.0.0.7:4400",
    "http://tartan.internal:4400",
  ]);
});
