/**
 * Draws the reference in the reader's browser: Scalar's script has run before this one. The API key that a reader types
 * stays in the page's memory, and a request goes to this server or nowhere, which the page's policy enforces.
 */
/* global Scalar */

const answer = await fetch("/openapi.json");
if (!answer.ok) throw new Error(`/openapi.json was answered with ${answer.status}`);
const description = await answer.json();
description.info.description += "\n\nMachines read this page as [openapi.json](/openapi.json).";
description.components.securitySchemes.apiKey.description += " It stays in this page's memory.";
for (const item of Object.values(description.paths)) for (const operation of Object.values(item)) leaveOut(operation);

// Scalar takes what it finds in its place for its own rendering, so the note that stood there goes first.
document.querySelector("#reference").replaceChildren();
Scalar.createApiReference("#reference", {
  content: description,
  authentication: { preferredSecurityScheme: "apiKey" },
  persistAuth: false,
  proxyUrl: "",
  telemetry: false,
  withDefaultFonts: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  // A download would be of the copy that is changed above.
  documentDownloadType: "none",
  // Every schema stands in the operations that use it.
  hideModels: true,
  orderSchemaPropertiesBy: "preserve",
  defaultHttpClient: { targetKey: "shell", clientKey: "curl" },
});

/**
 * Unticks an operation's optional parameters. Scalar would send the first value of an enumeration that nobody chose, so
 * that trying GET /v1/webhooks showed the webhooks of one source only.
 */
function leaveOut({ parameters = [] }) {
  for (const parameter of parameters) {
    if (parameter.required || parameter.example !== undefined) continue;
    const { default: fallback, enum: [first] = [] } = parameter.schema;
    parameter.examples = { default: { value: fallback ?? first ?? "", "x-disabled": true } };
  }
}
