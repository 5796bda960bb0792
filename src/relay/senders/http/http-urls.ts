/** Checks the URLs of HTTP destinations. */
import { TartanError } from "../../../errors.ts";
import type { UrlRules } from "../sender.ts";

/** What is wrong with the URL; null: nothing. The message never repeats the URL, which may hold credentials. */
export function httpUrlError(url: URL, { allowHttp, checkUrl }: UrlRules): string | null {
  if (url.protocol !== "https:" && !(allowHttp && url.protocol === "http:")) {
    return allowHttp ? "must be an http or https URL" : "must be an https URL; TARTAN_RELAY_ALLOW_HTTP allows http";
  }
  if (url.username !== "" || url.password !== "") {
    return "must not hold credentials; send them in a header, which is sealed and not shown";
  }
  if (url.href.includes("#")) return "must not have a fragment (#…), which is never sent";
  try {
    checkUrl(url);
  } catch (error) {
    if (error instanceof TartanError) return error.fields?.["url"] ?? error.message;
    throw error;
  }
  return null;
}
