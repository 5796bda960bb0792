/** The inputs of creating and changing a listener. */
import { z } from "zod";
import { described, filledText, namedIntegration, text, wholeNumber } from "../model/schema.ts";

export const KINDS = ["auth0", "generic"] as const;
export type Kind = (typeof KINDS)[number];

/** Auth0's category of successful logins: by its login page, cross-origin, and native social logins. */
export const LOGIN_EVENTS: readonly string[] = ["s", "scoa", "sens"];
export const USUAL_THROTTLE_S = 900;

const EVENT_TYPES_MAX = 50;
/** Senders put it in a header, which holds printable ASCII only and loses spaces at both ends. */
const HEADER_TEXT = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const settings = {
  name: filledText(200, "Yours to choose."),
  throttle_s: wholeNumber(
    60,
    604_800,
    "Seconds, 60 to 604800. A login makes no webhook for an item if another login made one, or if the item was synced, within so many " +
      "seconds before.",
  ),
  event_types: described(
    z
      .array(z.string().regex(/^[a-z0-9_]{1,100}$/, "must be types of Auth0's log events, such as s or ssa"))
      .min(1)
      .max(EVENT_TYPES_MAX),
    "Of an auth0 listener: the types of Auth0's log events that are logins; s, scoa and sens unless you say so.",
  ),
  cut_prefix: text(
    100,
    "Cut off the front of a user's id that begins with it, such as `auth0|` where your own identifiers lack it; null: nothing is cut.",
  ).nullable(),
};

const token = described(
  z
    .string()
    .min(16)
    .max(500)
    .regex(HEADER_TEXT, "must be printable ASCII without spaces at its ends, since it is sent in a header"),
  "Your choice, at least 16 characters; a random one when absent.",
);

export const NewListener = z.strictObject({
  kind: described(
    z.enum(KINDS),
    "Who posts: `auth0`, a log stream of Auth0 of the type Custom Webhook; or `generic`, your own system.",
  ),
  integration_id: described(
    namedIntegration,
    "A login concerns the user's items of this integration; of all integrations unless you name one.",
  ).optional(),
  name: settings.name.optional(),
  throttle_s: settings.throttle_s.optional(),
  event_types: settings.event_types.optional(),
  cut_prefix: settings.cut_prefix.optional(),
  token: token.optional(),
});
export type NewListener = z.input<typeof NewListener>;

export const ListenerChange = z.strictObject(settings).partial();
export type ListenerChange = z.input<typeof ListenerChange>;

/** A token of your own, or none for a random one. */
export const TokenRotation = z.strictObject({ token: token.optional() });
