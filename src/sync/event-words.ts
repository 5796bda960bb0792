/** The plain words that the events of an item carry beside Plaid's own: what happened, and what to do. */
import type { NoticeKind } from "../model/statuses.ts";
import { explain } from "../plaid/reasons.ts";
import type { DerivedEvent } from "../resources/types.ts";
import { STATES } from "./life.ts";
import { timeOf } from "./next-notices.ts";
import { wordsOf } from "./story.ts";

type Data = Readonly<Record<string, unknown>>;
interface Words {
  message: string;
  next_step: string | null;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

const announced =
  (kind: NoticeKind, about = "", until: Date | null = null) =>
  (now: Date): Words =>
    wordsOf({ kind, about, until, details: {} }, now);

const expiring = (data: Data): ((now: Date) => Words) =>
  data["reason"] === "PENDING_DISCONNECT"
    ? announced("disconnect_pending", "", timeOf(data["disconnect_time"]))
    : announced("consent_expiring", "", timeOf(data["consent_expiration_time"]));

/** By the type of the event. */
const WORDS: Readonly<Record<string, (data: Data) => (now: Date) => Words>> = {
  "item.error": ({ error }) => {
    const { error_type, error_code, error_code_reason } = error as Data;
    return () => explain(text(error_type), text(error_code), text(error_code_reason));
  },
  "item.consent_expiring": expiring,
  "item.new_accounts": () => announced("new_accounts"),
  "item.account_revoked": ({ account_id }) => announced("account_revoked", text(account_id)),
  "item.permissions_required": ({ product }) => announced("permissions_required", text(product)),
  "item.removed":
    ({ error_code }) =>
    () =>
      error_code === null
        ? { message: STATES.ended.meaning, next_step: STATES.ended.next_step }
        : explain("", text(error_code)),
};

/** The event with `message` and `next_step`, where its type has them. */
export function inPlainWords({ type, data }: DerivedEvent, now = new Date()): DerivedEvent {
  const words = WORDS[type]?.(data)(now);
  return words ? { type, data: { ...data, message: words.message, next_step: words.next_step } } : { type, data };
}
