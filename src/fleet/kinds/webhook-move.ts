/**
 * Moves the webhook URLs of items with /item/webhook/update.
 *
 *   pending ──/item/get: already there──▶ unchanged
 *      │ │└───another URL than the one to replace──▶ skipped
 *      │ the former URL is stored, then Plaid is asked
 *      ▼
 *   updated ──to an intake of Tartan: Plaid's WEBHOOK_UPDATE_ACKNOWLEDGED arrives here──▶ acknowledged ──/item/get──▶ verified
 *      └─────to another URL, or to none──────────────────────────/item/get──────────────────────────────────────────────▲
 *
 * Every step may be repeated: an update to the same URL does no harm. Items that need their user are moved too.
 */
import type { Many } from "../../database/together.ts";
import { EVERYTHING } from "../../model/webhook.ts";
import { isReplaced } from "../../integrations/tokens.ts";
import { PlaidError } from "../../plaid/errors.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../../plaid/reasons.ts";
import { markDue } from "../../sync/marks.ts";
import { isIntake } from "../../sync/items.ts";
import { rootOf, resourcesOf } from "../../resources/index.ts";
import { askPlaid, openItem, type OpenItem } from "../ask.ts";
import {
  end,
  fail,
  goOn,
  waitFor,
  type Context,
  type Kind,
  type Member,
  type Outcome,
  type WorkedMember,
} from "../kind.ts";
import { ACKNOWLEDGED, LATEST_ACKNOWLEDGEMENTS } from "./webhook-move-queries.ts";

/** What a member's `details` hold. A URL of null is none. */
export interface Move {
  to: string | null;
  /** only a URL that begins so is replaced */
  from_prefix?: string;
  /** only this URL is replaced: of a roll-back */
  from_exactly?: string | null;
  /** stored before Plaid is asked to replace it */
  former_url?: string | null;
  /** UUID: the acknowledgement is a later webhook than this one */
  after?: string;
  /** `whk_…` would be its id: UUID of the acknowledgement */
  acknowledgement?: string;
}

/** Plaid sends it at once; a URL that it cannot reach it tries again for a day. */
const ACKNOWLEDGED_WITHIN_SECONDS = 600;

export const webhookMove: Kind = {
  name: "webhook_move",
  states: {
    pending: "Plaid has not been asked yet.",
    updated: "Plaid has the new URL; its acknowledgement has not arrived.",
    acknowledged: "Plaid's acknowledgement arrived at the new URL.",
    verified: "/item/get has the new URL.",
    unchanged: "Plaid had the URL already.",
    skipped: "Plaid has another URL than the one to replace.",
    failed: "It was given up; the cause says why.",
  },
  changes: ["verified"],
  causes: {
    unlinked: { message: "The item is no longer linked.", next_step: null },
    not_acknowledged: {
      message: "Plaid has the new URL, and its acknowledgement did not arrive here within ten minutes.",
      next_step:
        "Check that Plaid can reach the URL, and that its requests arrive at this Tartan: see `npx tartan webhooks refusals`. Then try again: Plaid is asked once more.",
    },
    not_updated: { message: "Plaid took the update, and names another URL.", next_step: "Try again." },
  },
  perMinute: 600,
  exclusive: true,
  work: async (context, member) => {
    const item = await openItem(context, member);
    if (!item) return fail("unlinked");
    try {
      return member.state === "pending" ? await update(context, member, item) : await verify(context, member, item);
    } catch (error) {
      if (await isRotated(context, member, item, error)) return goOn(member.state);
      throw error;
    }
  },
  arrived,
};

/** Whether Plaid refused a token that was rotated since it was opened; the next attempt has the new one. */
async function isRotated(
  { database, vault }: Context,
  { integrationId }: Member,
  { itemId, accessToken }: OpenItem,
  error: unknown,
): Promise<boolean> {
  if (!(error instanceof PlaidError) || error.errorCode !== "INVALID_ACCESS_TOKEN") return false;
  return await isReplaced(database, vault, { integrationId, itemId, accessToken });
}

const moveOf = ({ details }: Member): Move => details as unknown as Move;

interface Answer {
  item?: { item_id?: string; webhook?: string | null };
}

/** Plaid answers none with null or with an empty text. */
const urlIn = ({ item }: Answer): string | null => item?.webhook || null;

/** Of the item that the token belongs to. @throws PlaidError */
const present = async (context: Context, item: OpenItem): Promise<Answer> =>
  await askPlaid<Answer>(context, item, "/item/get");

/** A token may be another item's until a sync run has used it. Its URL must stay as it is. */
const isOfAnother = (answer: Answer, { itemId }: OpenItem): boolean => (answer.item?.item_id ?? itemId) !== itemId;

async function update(context: Context, member: WorkedMember, item: OpenItem): Promise<Outcome> {
  const { to, after, ...move } = moveOf(member);
  const answer = await present(context, item);
  if (isOfAnother(answer, item)) return fail(TOKEN_OF_ANOTHER_ITEM);
  const now = urlIn(answer);
  if (now === to && after === undefined) return end("unchanged");
  if (now === to && !awaitsAcknowledgement(member)) return goOn("updated");
  // The URL is the new one after a crash, or where no acknowledgement came. Plaid sends one for each update, so it is asked once more.
  if (now !== to) {
    if (!isToReplace(move, now)) return end("skipped", { found_url: now });
    await member.note({ former_url: now, after: await context.together(latestAcknowledgements, member) });
  }
  const updating = await askPlaid<Answer>(context, item, "/item/webhook/update", { webhook: to });
  return urlIn(updating) === to ? updated(member) : fail("not_updated");
}

const isToReplace = ({ from_prefix, from_exactly }: Omit<Move, "to">, now: string | null): boolean =>
  (from_exactly === undefined || now === from_exactly) &&
  (from_prefix === undefined || (now ?? "").startsWith(from_prefix));

/** An acknowledgement arrives here only if the URL is an intake of Tartan. */
function awaitsAcknowledgement(member: Member): boolean {
  const { to } = moveOf(member);
  return to !== null && isIntake(to, member.integrationId);
}

/** Plaid has the new URL. */
const updated = (member: Member): Outcome =>
  awaitsAcknowledgement(member)
    ? waitFor("updated", { forSeconds: ACKNOWLEDGED_WITHIN_SECONDS, overdue: "not_acknowledged" })
    : goOn("updated");

async function verify(context: Context, member: Member, item: OpenItem): Promise<Outcome> {
  const { to } = moveOf(member);
  if (urlIn(await present(context, item)) !== to) return fail("not_updated");
  // An acknowledgement makes the item due by itself.
  if (member.state === "updated") await readAgain(context, member);
  return end("verified");
}

/** The mirror has the former URL until the item is read. */
async function readAgain({ database }: Context, { integrationId, itemId }: Member): Promise<void> {
  const requested = [rootOf(resourcesOf("item"))?.name ?? EVERYTHING];
  await markDue(database, [{ integrationId, kind: "item", id: itemId, requested }]);
}

const latestAcknowledgements: Many<Member, string> = async (q, members) => {
  const values = [members.map(({ integrationId }) => integrationId), members.map(({ itemId }) => itemId)];
  const { rows } = await q.query<{ id: string }>(LATEST_ACKNOWLEDGEMENTS, values);
  return rows.map(({ id }) => id);
};

async function arrived({ database }: Context, members: readonly Member[]): Promise<ReadonlyMap<number, Outcome>> {
  const moves = members.map((member) => ({ member, move: moveOf(member) }));
  const { rows } = await database.query<{ number: number; id: string; body: Buffer | null }>(ACKNOWLEDGED, [
    members.map(({ integrationId }) => integrationId),
    members.map(({ itemId }) => itemId),
    moves.map(({ move }) => move.after ?? null),
  ]);
  const outcomes = new Map<number, Outcome>();
  for (const { number, id, body } of rows) {
    const found = moves[number - 1];
    if (found && newUrlIn(body) === found.move.to)
      outcomes.set(found.member.n, goOn("acknowledged", { acknowledgement: id }));
  }
  return outcomes;
}

/** Undefined where there is none, or where the body is no longer kept. */
function newUrlIn(body: Buffer | null): unknown {
  try {
    return (JSON.parse(body?.toString("utf8") ?? "null") as { new_webhook_url?: unknown } | null)?.new_webhook_url;
  } catch {
    return undefined;
  }
}
