/**
 * The schemas that all nouns of the REST API share. The server checks requests against a schema and cuts answers down to one: a
 * field that is not declared cannot leave, so no token does. The OpenAPI document is made of the same schemas; one with an `id` in
 * its metadata is a named component of that document.
 */
import { z } from "zod";
import { described } from "../../model/schema.ts";

const FAILURE = {
  error: {
    code: "invalid_request",
    message: "The request is not usable: limit must be a whole number from 1 to 500.",
    fields: { limit: "must be a whole number from 1 to 500" },
  },
};

export const Failure = z
  .object({
    error: z.object({
      code: described(z.string(), "Stable: match on this."),
      message: described(z.string(), "What is wrong and how to fix it, for people."),
      fields: described(z.record(z.string(), z.string()), "The input at fault, one sentence each.").optional(),
    }),
  })
  .meta({ id: "Error", description: "What went wrong.", examples: [FAILURE] });

/** A page of a list. */
export const list = <T extends z.ZodType>(of: T, example: NoInfer<z.output<T>>, description: string) =>
  z
    .object({
      data: z.array(of),
      next_cursor: described(z.string().nullable(), "Pass it as `cursor` for the next page; null on the last."),
    })
    .meta({ description, examples: [{ data: [example], next_cursor: null }] });
