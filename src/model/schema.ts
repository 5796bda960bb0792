/**
 * The elements of schemas. An input is declared once, in the folder that owns its noun. The API, the CLI, Tartan's own
 * functions and the OpenAPI document all use this one declaration (docs/decisions/0026).
 */
import { z } from "zod";
import { ENVIRONMENTS } from "./integration.ts";

/** A schema with the sentence that the reference shows for it. */
export const described = <T extends z.ZodType>(schema: T, description: string): T => schema.meta({ description });

/** Postgres text cannot hold NUL, and UTF-8 no lone surrogate. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

/** A text that can be stored, and so also be found. */
export const text = (longest: number, description: string) =>
  anyText(longest, description).min(1).meta({ description });

/** The same, and it may be empty. */
export const anyText = (longest: number, description: string) =>
  z
    .string()
    .max(longest)
    .refine((value) => !UNSTORABLE.test(value), "has characters that cannot be stored")
    .meta({ description });

/** A text with a character that is not a blank. */
export const filledText = (longest: number, description: string) =>
  text(longest, description)
    .refine((value) => value.trim() !== "", "must not be empty")
    .meta({ description });

/** A whole number within bounds, which its error names. */
export function wholeNumber(from: number, to: number, description: string) {
  const error = wrong(`must be a whole number from ${from} to ${to}`);
  return z.int({ error }).min(from, { error }).max(to, { error }).meta({ description });
}

/** The same from a query string, where every value is a text. */
export function wholeNumberText(from: number, to: number, description: string) {
  const error = wrong(`must be a whole number from ${from} to ${to}`);
  return z.coerce.number({ error }).int({ error }).min(from, { error }).max(to, { error }).meta({ description });
}

/** The error of a present value; a missing value is reported as missing. */
export const wrong =
  (message: string) =>
  ({ input }: { input?: unknown }): string | undefined =>
    input === undefined ? undefined : message;

/** An instant of an input: ISO 8601 with an offset. */
export const instant = (description: string) =>
  z.iso.datetime({ offset: true, error: wrong("must be a time such as 2026-11-20T17:03:29Z") }).meta({ description });

/* Fields of answers. */

export const timestamp = (description: string) => z.string().meta({ description, format: "date-time" });
export const noTimestamp = (description: string) => z.string().nullable().meta({ description, format: "date-time" });

/** The same text, or null. */
export const orNull = (schema: z.ZodString) => described(z.string().nullable(), schema.description ?? "");

/** An object whose fields Tartan does not declare, such as a webhook's body. */
export const anyObject = (description: string) => described(z.record(z.string(), z.unknown()), description);

/* Ids in answers and in inputs. */

const INTEGRATION = "Id of an integration.";
const ITEM = "Plaid's id of an Item.";
const USER = "Your own identifier of the Item's user (Plaid's `client_user_id`).";
const DESTINATION = "Id of a destination, `dst_…`.";
const ROUTE = "Id of a route, `rte_…`.";
const DELIVERY = "Id of a delivery, `dlv_…`.";

export const integrationId = described(z.string(), INTEGRATION);
export const itemId = described(z.string(), ITEM);
export const userId = described(z.string(), USER);
export const webhookId = described(z.string(), "Id of a webhook; ids sort by the time of receipt.");
export const destinationId = described(z.string(), DESTINATION);
export const routeId = described(z.string(), ROUTE);
export const deliveryId = described(z.string(), DELIVERY);
export const eventId = described(
  z.string(),
  "Id of an event: `evt_` and 32 hexadecimal digits, the same in every delivery and replay.",
);

export const namedIntegration = text(100, INTEGRATION);
export const namedItem = text(200, ITEM);
export const namedUser = text(200, USER);
export const namedDestination = text(100, DESTINATION);
export const namedRoute = text(100, ROUTE);
export const namedDelivery = text(100, DELIVERY);

export const environment = described(z.enum(ENVIRONMENTS), "Plaid's environment.");
