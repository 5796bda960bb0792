/** The reference as a reader has it: a real browser, the real page, requests to the real server. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { CHROMIUM, NO_CHROMIUM, startChromium } from "../../support/browser.ts";
import { KEY, startWorld, type Json, type World } from "../../support/world/index.ts";

let world: World<"api">;
let browser: Browser | undefined;
beforeAll(async () => {
  if (CHROMIUM === undefined) return;
  world = await startWorld({ api: {} });
  browser = await startChromium();
});
afterAll(async () => {
  await browser?.close();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(({ skip }) => skip(CHROMIUM === undefined, NO_CHROMIUM));

/** What a page did that its reader does not see. */
interface Observed {
  requests: { method: string; url: string; headers: Record<string, string> }[];
  /** console errors and warnings, exceptions, and what its policy refused */
  complaints: string[];
}

async function openReference(): Promise<{ page: Page; observed: Observed }> {
  const context = await (browser as Browser).newContext({
    viewport: { width: 1440, height: 1000 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const observed: Observed = { requests: [], complaints: [] };
  context.on("request", (request) =>
    observed.requests.push({ method: request.method(), url: request.url(), headers: request.headers() }),
  );
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type())) observed.complaints.push(line.text());
  });
  page.on("pageerror", (error) => observed.complaints.push(error.message));
  await page.exposeFunction("reportRefusal", (refusal: string) => observed.complaints.push(refusal));
  await page.addInitScript(`document.addEventListener("securitypolicyviolation", (event) =>
    reportRefusal(event.effectiveDirective + " refused " + event.blockedURI))`);
  await page.goto(`${world.api.url}/docs`);
  await page.locator("main section").first().waitFor();
  return { page, observed };
}

const foreign = ({ requests }: Observed) =>
  requests.map(({ url }) => url).filter((url) => !url.startsWith(world.api.url));

/** Each operation with its method as the page's menu has it. */
const operationsIn = (paths: Json): { method: string; summary: string }[] =>
  Object.values<Json>(paths).flatMap((methods) =>
    Object.entries<Json>(methods).map(([method, { summary }]) => ({
      method: method === "delete" ? "DEL" : method.toUpperCase(),
      summary,
    })),
  );

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The form that sends a request, opened on an operation such as `GET /v1/status`. */
async function openForm(page: Page, tag: string, operation: string): Promise<ReturnType<Page["getByRole"]>> {
  const [method = "", path = ""] = operation.split(" ");
  await page.goto(`${world.api.url}/docs#tag/${tag}/${method}${path}`);
  await page.reload();
  await page.getByRole("button", { name: `Test Request (${method.toLowerCase()} ${path})` }).click();
  const form = page.getByRole("dialog");
  await form.getByRole("button", { name: /^Send \w+ request to/ }).waitFor();
  return form;
}

it("the reference page shows every operation and event, loads nothing from another host, and the browser reports no error", async () => {
  const { page, observed } = await openReference();
  const { body: document } = await world.api.call("GET /openapi.json");
  const menu = page.getByRole("complementary").first();
  for (const { name } of document.tags) {
    const closed = menu.getByRole("button", { name: `Open Group - ${name}`, exact: true });
    if ((await closed.count()) > 0) await closed.click();
  }
  for (const { method, summary } of [...operationsIn(document.paths), ...operationsIn(document.webhooks)]) {
    const link = menu.getByRole("link", { name: new RegExp(`^${escaped(summary)} HTTP Method: ${method}`) });
    await link.click();
    const place = (await link.getAttribute("href"))?.slice(1);
    const section = page.locator(`section[id$="${place}"]`);
    await section.getByRole("heading", { name: summary, exact: true }).waitFor();
    await section
      .getByText(/^2(\d\d|XX)$/)
      .first()
      .waitFor();
  }
  expect(foreign(observed)).toEqual([]);
  expect(observed.complaints).toEqual([]);
}, 180_000);

it("trying an operation sends the typed key to this server, shows the answer, and stores the key nowhere", async () => {
  const { page, observed } = await openReference();
  const form = await openForm(page, "operation", "GET /v1/status");
  await form.getByPlaceholder("Token").fill(KEY);
  await form.getByRole("button", { name: /^Send \w+ request to/ }).click();
  await form.getByText("200 OK").waitFor();
  await form.getByText('"schema_version"').first().waitFor();
  const sent = observed.requests.filter(({ url }) => url.includes("/v1/"));
  expect(sent).toMatchObject([
    { method: "GET", url: `${world.api.url}/v1/status`, headers: { authorization: `Bearer ${KEY}` } },
  ]);
  const kept = await page.evaluate(`(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage },
    document.cookie, await indexedDB.databases(), await caches.keys()]))()`);
  expect(kept).not.toContain(KEY);
  expect(kept).toMatch(/,\{\},"",\[\],\[\]\]$/);
  expect(foreign(observed)).toEqual([]);
  expect(observed.complaints).toEqual([]);
}, 90_000);

it("trying a list sends none of its filters until the reader chooses one", async () => {
  const { page, observed } = await openReference();
  const form = await openForm(page, "journal", "GET /v1/webhooks");
  await form.getByPlaceholder("Token").fill(KEY);
  await form.getByRole("button", { name: /^Send \w+ request to/ }).click();
  await form.getByText("200 OK").waitFor();
  expect(observed.requests.map(({ url }) => url).filter((url) => url.includes("/v1/"))).toEqual([
    `${world.api.url}/v1/webhooks`,
  ]);
}, 90_000);

it("an event has no button to try it, since no reader sends one", async () => {
  const { page } = await openReference();
  await page.goto(`${world.api.url}/docs#tag/events/webhook/POST/transactions.changed`);
  await page.reload();
  const section = page.locator(`section[id$="/webhook/POST/transactions.changed"]`);
  await section.getByRole("heading", { name: "transactions.changed" }).waitFor();
  expect(await section.getByRole("button", { name: /Test Request/ }).count()).toBe(0);
}, 90_000);
