/**
 * What the shapes of the REST API are built from. A shape is declared once: requests are checked against it, answers are
 * cut down to it (a field that is not declared cannot leave, so that no token does), and the OpenAPI document is made
 * of it. One with an `id` in its metadata is a named component of that document.
 */
import { z } from "zod";

/** A shape with the sentence that the reference shows for it. */
export const told = <T extends z.ZodType>(schema: T, description: string): T => schema.meta({ description });

export const timestamp = (description: string) => z.string().meta({ description, format: "date-time" });
export const noTimestamp = (description: string) => z.string().nullable().meta({ description, format: "date-time" });
export const integrationId = told(z.string(), "Id of an integration.");
export const itemId = told(z.string(), "Plaid's id of an Item.");
export const userId = told(z.string(), "Your own identifier of the Item's user (Plaid's `client_user_id`).");
export const webhookId = told(z.string(), "Id of a webhook; ids sort by the time of receipt.");
export const environment = told(z.enum(["sandbox", "production"]), "Plaid's environment.");

/** A text in a request: what Postgres cannot store (NUL, half a surrogate pair) cannot be found either, so it is refused at the door. */
export const asked = (longest: number, description: string) =>
  z
    .string()
    .min(1)
    .max(longest)
    .refine((text) => !/[\0\p{Surrogate}]/u.test(text), "has characters that cannot be stored")
    .meta({ description });

export const askedIntegration = asked(100, "Id of an integration.");
export const askedItem = asked(200, "Plaid's id of an Item.");
export const askedUser = asked(200, "Your own identifier of the Item's user (Plaid's `client_user_id`).");

/** A switch in a query string. */
export const flag = (description: string) => told(z.enum(["true", "false"]).default("false"), description);

/** The same text, or null. */
export const orNull = (schema: z.ZodString) => told(z.string().nullable(), schema.description ?? "");

/** Something whose inside is not ours to declare, such as a webhook's body. */
export const anyObject = (description: string) => told(z.record(z.string(), z.unknown()), description);

const FAILURE = {
  error: {
    code: "invalid_request",
    message: "The request is not usable: limit must be at most 500.",
    fields: { limit: "must be at most 500" },
  },
};

export const Failure = z
  .object({
    error: z.object({
      code: told(z.string(), "Stable: match on this."),
      message: told(z.string(), "What is wrong and how to mend it, for people."),
      fields: told(z.record(z.string(), z.string()), "The input at fault, one sentence each.").optional(),
    }),
  })
  .meta({ id: "Error", description: "What went wrong.", examples: [FAILURE] });

/** A page of a list. */
export const list = <T extends z.ZodType>(of: T, example: NoInfer<z.output<T>>, description: string) =>
  z
    .object({
      data: z.array(of),
      next_cursor: told(z.string().nullable(), "Pass it as `cursor` for the next page; null on the last."),
    })
    .meta({ description, examples: [{ data: [example], next_cursor: null }] });

export const page = {
  limit: told(z.coerce.number().int().min(1).max(500).default(50), "Rows of a page, 1 to 500."),
  cursor: asked(500, "The `next_cursor` of the page before.").exactOptional(),
};
