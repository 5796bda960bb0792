/** The reference as a reader has it: a real browser, the real page, requests to the real server. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { EVENT_TYPES } from "../../../src/events/event-types.ts";
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

/** The page, with the section that the fragment names at the top. */
async function openReference(fragment = ""): Promise<{ page: Page; observed: Observed }> {
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
  await page.goto(`${world.api.url}/docs${fragment}`);
  await page.locator("main section").first().waitFor();
  return { page, observed };
}

const foreign = ({ requests }: Observed) =>
  requests.map(({ url }) => url).filter((url) => !url.startsWith(world.api.url));

/** Each operation as the page's menu has it. */
const operationsIn = (paths: Json): string[] =>
  Object.values<Json>(paths).flatMap((methods) =>
    Object.entries<Json>(methods).map(
      ([method, { summary }]) => `${summary} ${method === "delete" ? "DEL" : method.toUpperCase()}`,
    ),
  );

/** The links of the menu that lead to operations, with all groups open. */
async function linksOf(page: Page): Promise<string[]> {
  const menu = page.getByRole("complementary").first();
  const closed = menu.getByRole("button", { name: /^Open Group - / });
  while ((await closed.count()) > 0) await closed.first().click();
  const links = await menu.getByRole("link").allTextContents();
  return links.flatMap((text) => {
    const [, summary, method] = /^\s*(.+?)\s*HTTP Method:\s*(\w+)/.exec(text) ?? [];
    return summary === undefined ? [] : [`${summary} ${method}`];
  });
}

interface Drawn {
  heading: string;
  /** the types of events that it is about, where it lists them */
  types: string[];
  /** whether it says how a success is answered */
  answers: boolean;
  isEvent: boolean;
  canBeTried: boolean;
}

/** What the page draws of each operation: it draws one when a reader comes near, so this goes from one to the next. */
const DRAWN = `(async () => {
  const undrawn = () => document.querySelector('main [data-placeholder="true"]');
  for (let place = undrawn(); place !== null; place = undrawn()) {
    place.scrollIntoView();
    await new Promise((drawn) => requestAnimationFrame(drawn));
  }
  const shows = (element) => element?.checkVisibility() === true;
  return [...document.querySelectorAll("main section[aria-labelledby]:has(.operation-details)")].map((section) => ({
    heading: document.getElementById(section.getAttribute("aria-labelledby")).textContent.trim(),
    answers: [...section.querySelectorAll("*")].some(({ textContent }) => /^\\s*2(\\d\\d|XX)\\s*$/.test(textContent)),
    types: [...section.querySelectorAll(".markdown td:first-child code")].map(({ textContent }) => textContent),
    isEvent: section.id.includes("/webhook/"),
    canBeTried: shows(section.querySelector(".show-api-client-button")),
  }));
})()`;

it("the reference page shows every operation and event, with a form to try each operation and none for an event, loads nothing from another host, and the browser reports no error", async () => {
  const { page, observed } = await openReference();
  const { body: document } = await world.api.call("GET /openapi.json");
  const operations = operationsIn(document.paths);
  const events = operationsIn(document.webhooks);
  expect((await linksOf(page)).toSorted()).toEqual([...operations, ...events].toSorted());
  const drawn = await page.evaluate<Drawn[]>(DRAWN);
  const withoutMethod = (names: string[]) => names.map((name) => name.replace(/ \w+$/, "")).toSorted();
  for (const isEvent of [false, true]) {
    const these = drawn.filter((section) => section.isEvent === isEvent);
    expect(these.map(({ heading }) => heading).toSorted()).toEqual(withoutMethod(isEvent ? events : operations));
    expect(these.filter(({ answers, canBeTried }) => !answers || canBeTried === isEvent)).toEqual([]);
  }
  const types = drawn.flatMap((section) => {
    if (!section.isEvent) return [];
    return section.types.length > 0 ? section.types : [section.heading];
  });
  expect(types.toSorted()).toEqual(Object.keys(EVENT_TYPES).toSorted());
  expect(foreign(observed)).toEqual([]);
  expect(observed.complaints).toEqual([]);
}, 120_000);

/** The form that sends a request, opened on an operation such as `GET /v1/status`. */
async function openForm(tag: string, operation: string) {
  const [method = "", path = ""] = operation.split(" ");
  const { page, observed } = await openReference(`#tag/${tag}/${method}${path}`);
  await page.getByRole("button", { name: `Test Request (${method.toLowerCase()} ${path})` }).click();
  const form = page.getByRole("dialog");
  await form.getByRole("button", { name: /^Send \w+ request to/ }).waitFor();
  return { page, observed, form };
}

it("trying an operation sends the typed key to this server, shows the answer, and stores the key nowhere", async () => {
  const { page, observed, form } = await openForm("operation", "GET /v1/status");
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
  const { observed, form } = await openForm("journal", "GET /v1/webhooks");
  await form.getByPlaceholder("Token").fill(KEY);
  await form.getByRole("button", { name: /^Send \w+ request to/ }).click();
  await form.getByText("200 OK").waitFor();
  expect(observed.requests.map(({ url }) => url).filter((url) => url.includes("/v1/"))).toEqual([
    `${world.api.url}/v1/webhooks`,
  ]);
}, 90_000);
