/** A real browser for tests of pages: the Chromium of this machine, headless. Tests skip where there is none. */
import { existsSync } from "node:fs";
import { chromium, type Browser } from "playwright-core";

const PLACES = [
  process.env["TARTAN_TEST_CHROMIUM"] ?? "",
  "/usr/lib/chromium/chromium",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The browser's path, or undefined. */
export const CHROMIUM = PLACES.find((place) => place !== "" && existsSync(place));

export const NO_CHROMIUM = "no Chromium is installed here; TARTAN_TEST_CHROMIUM names one in another place";

/** Chromium's own sandbox refuses to run as root. */
export async function startChromium(): Promise<Browser> {
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return await chromium.launch({ executablePath: CHROMIUM ?? "", args });
}
