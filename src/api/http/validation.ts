/** Checks the parts of a request against their schemas, with the same error texts as Tartan's own functions. */
import type { FastifySchemaCompiler } from "fastify";
import type { z } from "zod";
import { validate, ValidationErrors } from "../../model/validation.ts";

const ownersCheck = new WeakSet<z.ZodType>();

/**
 * The schema of a body that the owner of the noun checks itself, together with what no schema knows, such as the URLs that this
 * server allows. So one answer lists all errors. The handler gets the body as it came, without the schema's defaults.
 */
export function checkedByOwner<T extends z.ZodType>(schema: T): T {
  ownersCheck.add(schema);
  return schema;
}

/** Fastify's validator. Its error is the answer. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    if (ownersCheck.has(schema)) return isObject(data) ? { value: data } : { error: noObject() };
    const { value, errors } = validate(schema, data, httpPart === "querystring" ? "query parameter" : "field");
    const error = errors.toError("request");
    return error === null ? { value } : { error };
  };

const isObject = (data: unknown): boolean => typeof data === "object" && data !== null && !Array.isArray(data);

function noObject(): Error {
  const errors = new ValidationErrors();
  errors.add("body", "must be a JSON object");
  return errors.toError("request") as Error;
}
