/** The fields of a shape and the parameters of a call, as the reference page lists them. */
import type { OpenAPIV3_1 } from "openapi-types";
import { escapeHtml, shortProse } from "./html.ts";
import type { Document } from "./openapi.ts";

type Schema = OpenAPIV3_1.SchemaObject;

const COMPONENT = "#/components/schemas/";

/** The shape itself where `schema` only refers to it. */
export function resolve(document: Document, schema: object): Schema {
  const reference = (schema as { $ref?: string }).$ref;
  if (reference === undefined) return schema as Schema;
  return (document.components?.schemas?.[reference.slice(COMPONENT.length)] ?? {}) as Schema;
}

export function renderParameters(title: string, { parameters }: OpenAPIV3_1.OperationObject, place: string): string {
  const rows = ((parameters ?? []) as OpenAPIV3_1.ParameterObject[])
    .filter((parameter) => parameter.in === place)
    .map(({ name, required, schema, description }) =>
      row(name, (schema ?? {}) as Schema, required === true && place !== "path", description),
    );
  return rows.length === 0 ? "" : `<h4>${title}</h4><dl class="fields">${rows.join("")}</dl>`;
}

/** An object's properties, those of nested objects below their own. */
export function renderFields(document: Document, shape: Schema, inRequest = true): string {
  const rows = Object.entries(shape.properties ?? {}).map(([name, property]) => {
    const schema = resolve(document, property);
    const inner = innerObject(document, schema);
    const nested = inner?.properties ? renderFields(document, inner, inRequest) : "";
    return row(name, schema, inRequest && shape.required?.includes(name) === true, schema.description, nested);
  });
  return rows.length === 0 ? "" : `<dl class="fields">${rows.join("")}</dl>`;
}

/** The object that a field is, or that its entries are, or that it is when it is not null. */
function innerObject(document: Document, schema: Schema): Schema | null {
  if (schema.properties) return schema;
  if (schema.type === "array" && "items" in schema) return innerObject(document, resolve(document, schema.items));
  const alternatives = (schema.anyOf ?? []).map((one) => resolve(document, one)).filter(({ type }) => type !== "null");
  return alternatives.length === 1 && alternatives[0] ? innerObject(document, alternatives[0]) : null;
}

function row(name: string, schema: Schema, needed: boolean, description?: string, nested = ""): string {
  const mark = needed ? '<span class="needed">required</span>' : "";
  const text = description === undefined ? "" : shortProse(description);
  return `<div><dt><code>${escapeHtml(name)}</code><span class="type">${escapeHtml(typeOf(schema))}</span>${mark}</dt>
<dd>${text}${nested}</dd></div>`;
}

function typeOf(schema: Schema): string {
  const fallback = schema.default === undefined ? "" : `, ${JSON.stringify(schema.default)} when absent`;
  return `${bareType(schema)}${fallback}`;
}

function bareType(schema: Schema): string {
  if (schema.anyOf) return schema.anyOf.map((one) => bareType(one as Schema)).join(" or ");
  if (schema.enum) return schema.enum.map(String).join(" | ");
  const type = [schema.type ?? "any"].flat().join(" or ");
  if (type === "array" && "items" in schema) return `array of ${bareType(schema.items as Schema)}`;
  return schema.format === "date-time" ? "timestamp" : type;
}
