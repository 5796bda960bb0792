/**
 * The reference page at /docs: the OpenAPI document for people, rendered here into one plain HTML page. It loads
 * nothing from anywhere, so it is right behind any firewall, and it is always about the server that sends it.
 */
import { createHash } from "node:crypto";
import type { OpenAPIV3_1 } from "openapi-types";
import { escapeHtml, prose, shortProse } from "./html.ts";
import type { Document } from "./openapi.ts";
import { renderFields, renderParameters, resolve } from "./reference-fields.ts";
import { SCRIPT, STYLE } from "./reference-style.ts";

type Operation = OpenAPIV3_1.OperationObject;

interface Call {
  method: string;
  path: string;
  operation: Operation;
}

const sha256 = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Admits the page's own style and script and nothing else. */
export const REFERENCE_POLICY =
  `default-src 'none'; style-src ${sha256(STYLE)}; script-src ${sha256(SCRIPT)}; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The whole page; `publicUrl` heads the example commands. */
export function renderReference(document: Document, publicUrl: string): string {
  const sections = (document.tags ?? []).map((tag) => ({ tag, calls: callsOf(document, tag.name) }));
  const menu = sections.map(({ tag, calls }) => renderMenu(tag.name, calls)).join("");
  const main = sections.map(({ tag, calls }) => renderSection(document, tag, calls, publicUrl)).join("");
  const { title, version, description } = document.info;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)} API</title>
<style>${STYLE}</style></head><body>
<nav aria-label="Reference"><a class="home" href="#top">${escapeHtml(title)} API</a>
<p class="version">version ${escapeHtml(version)} · <a href="/openapi.json">openapi.json</a></p>${menu}</nav>
<main id="top"><h1>${escapeHtml(title)} API</h1><div class="intro">${prose(description ?? "")}</div>${main}</main>
<script>${SCRIPT}</script></body></html>`;
}

function callsOf(document: Document, tag: string): Call[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item ?? {})
      .map(([method, operation]) => ({ method, path, operation: operation as Operation }))
      .filter(({ operation }) => operation.tags?.includes(tag)),
  );
}

function renderMenu(name: string, calls: readonly Call[]): string {
  const entries = calls.map(
    ({ operation }) => `<li><a href="#${operation.operationId}">${shortProse(operation.summary ?? "")}</a></li>`,
  );
  return `<h2>${escapeHtml(name)}</h2><ul>${entries.join("")}</ul>`;
}

function renderSection(
  document: Document,
  { name, description }: OpenAPIV3_1.TagObject,
  calls: readonly Call[],
  publicUrl: string,
): string {
  const articles = calls.map((call) => renderCall(document, call, publicUrl)).join("");
  const events = name === "Events" ? renderEvents(document) : "";
  return `<section><h2>${escapeHtml(name)}</h2><p class="lead">${shortProse(description ?? "")}</p>${articles}${events}</section>`;
}

/** What destinations are sent, each type with its fields. */
function renderEvents(document: Document): string {
  const rows = Object.entries(document.webhooks ?? {}).map(([type, item]) => {
    const { post } = item as OpenAPIV3_1.PathItemObject;
    const body = jsonOf(post?.requestBody as OpenAPIV3_1.RequestBodyObject | undefined);
    const data = resolve(document, body?.schema ?? {}).properties?.["data"] ?? {};
    return `<div><dt><code>${escapeHtml(type)}</code></dt><dd>${shortProse(post?.description ?? "")}
<details><summary>Fields of its data</summary>${renderFields(document, resolve(document, data), false)}</details></dd></div>`;
  });
  return `<article id="events"><div><h3><a href="#events">What can happen</a></h3>
<dl class="fields">${rows.join("")}</dl></div></article>`;
}

function renderCall(document: Document, call: Call, publicUrl: string): string {
  const { method, path, operation } = call;
  const id = operation.operationId ?? "";
  const body = jsonOf(operation.requestBody as OpenAPIV3_1.RequestBodyObject | undefined);
  const success = successOf(operation);
  return `<article id="${id}"><div><h3><a href="#${id}">${shortProse(operation.summary ?? "")}</a></h3>
<p class="call"><code><span class="method ${method}">${method}</span>${escapeHtml(path)}</code></p>
${prose(operation.description ?? "")}
${renderParameters("Path", operation, "path")}${renderParameters("Query", operation, "query")}
${body?.schema ? `<h4>Body</h4>${renderFields(document, resolve(document, body.schema))}` : ""}
${success?.schema ? `<details><summary>Fields of the answer</summary>${renderFields(document, resolve(document, success.schema))}</details>` : ""}
${renderRefusals(operation)}</div>
<div class="examples">${figure("Request", curl(call, body?.example, publicUrl))}${
    success?.example === undefined ? "" : figure(`Answer ${success.status}`, pretty(success.example))
  }</div></article>`;
}

function jsonOf(holder: { content?: OpenAPIV3_1.RequestBodyObject["content"] } | undefined) {
  const media = holder?.content?.["application/json"];
  return media && { schema: media.schema, example: media.example as unknown };
}

function successOf({ responses }: Operation) {
  const [status, answer] = Object.entries(responses ?? {}).find(([code]) => code.startsWith("2")) ?? [];
  const holder = answer as OpenAPIV3_1.ResponseObject | undefined;
  const [plain] = Object.values(holder?.content ?? {});
  const shown = jsonOf(holder) ?? (plain && { schema: plain.schema, example: plain.example as unknown });
  return shown && { ...shown, status };
}

function renderRefusals({ responses }: Operation): string {
  const rows = Object.entries(responses ?? {})
    .filter(([status]) => !status.startsWith("2"))
    .map(([status, answer]) => {
      const { description } = answer as OpenAPIV3_1.ResponseObject;
      return `<tr><td><code>${status}</code></td><td>${shortProse(description)}</td></tr>`;
    });
  return rows.length === 0 ? "" : `<h4>Refusals</h4><table class="refusals">${rows.join("")}</table>`;
}

/** The call as a command that can be pasted; placeholders stand where a key or secret belongs. */
function curl({ method, path, operation }: Call, body: unknown, publicUrl: string): string {
  const parameters = (operation.parameters ?? []) as OpenAPIV3_1.ParameterObject[];
  const filled = parameters.reduce(
    (url, { name, in: place, example }) => (place === "path" ? url.replace(`{${name}}`, String(example ?? name)) : url),
    path,
  );
  const [first] = operation.security ?? [];
  const header =
    first === undefined
      ? ""
      : first["apiKey"]
        ? "Authorization: Bearer $TARTAN_ADMIN_KEY"
        : "Tartan-Webhook-Secret: $WEBHOOK_SECRET";
  const lines = [`curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${publicUrl}${filled}`];
  if (header !== "") lines.push(`-H "${header}"`);
  if (body !== undefined)
    lines.push(`-H "Content-Type: application/json"`, `-d '${pretty(body).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

/** Indented JSON, but with lists of plain texts in one line. */
function pretty(value: unknown): string {
  if (typeof value === "string") return value;
  const text = JSON.stringify(value, null, 2);
  return text.replaceAll(
    /\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]/g,
    (_, inner: string) => `[${inner.replaceAll(/\s*\n\s*/g, " ")}]`,
  );
}

function figure(caption: string, code: string): string {
  return `<figure><figcaption>${escapeHtml(caption)}<button type="button" data-copy>copy</button></figcaption>
<pre tabindex="0"><code>${escapeHtml(code)}</code></pre></figure>`;
}
