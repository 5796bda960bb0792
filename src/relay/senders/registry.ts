/** The types of destinations, by the scheme of their URLs. */
import { TartanError } from "../../errors.ts";
import { httpSender } from "./http/http-sender.ts";
import type { Sender, SenderContext, SenderSettings, SenderType, UrlRules } from "./sender.ts";

const TYPES: Readonly<Record<string, SenderType>> = {
  "http:": httpSender,
  "https:": httpSender,
};

/** What is wrong with the URL of a destination; null: nothing. An unknown scheme is refused in the words of HTTP destinations. */
export const senderUrlError = (url: URL, rules: UrlRules): string | null =>
  (TYPES[url.protocol] ?? httpSender).urlError(url, rules);

/** Opens the sender of a destination. */
export function openSender(settings: SenderSettings, context: SenderContext): Sender {
  const { protocol } = new URL(settings.url);
  const type = TYPES[protocol];
  if (!type) throw new TartanError("internal", `There is no sender for destinations of ${protocol}`);
  return type.open(settings, context);
}
