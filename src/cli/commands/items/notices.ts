/** The notices of items, as `tartan items list` and `tartan items show` print them. */
import type { NoticeKind } from "../../../model/statuses.ts";
import type { ItemState } from "../../../sync/items.ts";
import { NOTICES } from "../../../sync/life.ts";
import type { ShownNotice } from "../../../sync/story.ts";
import { ago, cyan, magenta, red, say, sayTable, yellow } from "../../output/print.ts";

/** What its user must do soon, can do, and should know. */
const COLOURS: Readonly<Record<NoticeKind, (text: string) => string>> = {
  consent_expiring: magenta,
  disconnect_pending: magenta,
  permissions_required: yellow,
  new_accounts: cyan,
  account_revoked: yellow,
};

const coloured = (kind: NoticeKind): string => COLOURS[kind](kind);

/** The kinds of an item's notices, for a cell of a table. */
export const kindsOf = ({ notices }: ItemState): string =>
  [...new Set(notices.map(({ kind }) => kind))].map(coloured).join(", ");

/** What each error and each notice of the list means, once, and what to do about it. */
export function sayMeanings(items: readonly ItemState[]): void {
  const errors = new Map(items.flatMap((item) => (item.error_code ? [[item.error_code, item] as const] : [])));
  const kinds = new Set(items.flatMap(({ notices }) => notices.map(({ kind }) => kind)));
  if (errors.size + kinds.size > 0) say();
  for (const [code, { error_message, next_step }] of errors) say(`${red(code)}  ${error_message} ${next_step ?? ""}`);
  for (const kind of kinds) say(`${coloured(kind)}  ${NOTICES[kind].meaning} ${NOTICES[kind].next_step}`);
}

/** Each notice of an item with what to do. */
export function sayNotices(notices: readonly ShownNotice[]): void {
  if (notices.length === 0) return;
  say();
  sayTable(
    notices,
    {
      notice: ({ kind }) => coloured(kind),
      since: ({ since }) => ago(since),
      until: ({ until }) => (until === null ? "" : ago(until)),
      "what it says": ({ message }) => message,
    },
    "",
  );
  for (const kind of new Set(notices.map((notice) => notice.kind)))
    say(`${coloured(kind)}  ${NOTICES[kind].next_step}`);
}
