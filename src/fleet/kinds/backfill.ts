/**
 * Backfills: reads items again as sync does for any request, many of them, behind all that webhooks made due.
 *
 *   pending ──the item is made due──▶ reading ──its run has ended──▶ read
 *      └──the webhooks touch nothing that is mirrored──▶ skipped
 */
import { EVERYTHING_AGAIN } from "../../model/webhook.ts";
import { resourcesOf, touches } from "../../resources/index.ts";
import { backfillStates, requestBackfill, type BackfillState } from "../../sync/followed.ts";
import { asOneOfAll, requestOnce } from "../../sync/plan.ts";
import { end, fail, type Context, type Kind, type Member, type Outcome, type WorkedMember } from "../kind.ts";
import { CAUSES, outcomesOf, room, untilEnd } from "./reading.ts";

export const backfill: Kind = {
  name: "backfill",
  states: {
    pending: "It waits for its turn.",
    reading: "It is due; its sync run has not ended.",
    read: "Its sync run has ended, and what was asked for was read.",
    skipped: "Its webhooks touch nothing that is mirrored.",
    failed: "It could not be read; the cause says why.",
  },
  changes: ["read"],
  causes: CAUSES,
  perMinute: 120,
  exclusive: true,
  room,
  work,
  arrived: async ({ database }, members) => outcomesOf(members, await backfillStates(database, members), outcomeOf),
};

async function work(context: Context, member: WorkedMember): Promise<Outcome> {
  const { database } = context;
  const { integrationId, itemId } = member;
  const requested = requestsOf(context.job.asked, member);
  if (requested.length === 0) return end("skipped");
  const [before] = await backfillStates(database, [member]);
  if (!before || before.status === "unlinked") return fail("unlinked");
  await requestBackfill(database, { integrationId, kind: "item", id: itemId, requested });
  return await untilEnd(context, "reading", async () => {
    const [state = null] = await backfillStates(database, [member]);
    return outcomeOf(state);
  });
}

/** What the run reads: all again, the named resources again, or what the item's webhooks of that time touch. */
function requestsOf(asked: Context["job"]["asked"], { details }: Member): string[] {
  const touched = details["touched"] as readonly string[] | undefined;
  if (asked["mode"] === "webhooks") return touchedBy(touched ?? []);
  const named = asked["resources"] as readonly string[] | undefined;
  return named?.map((name) => `${name}:full`) ?? [EVERYTHING_AGAIN];
}

/** Of a resource whose requests Plaid bills nothing is read again unless it is named. */
function touchedBy(webhooks: readonly string[]): string[] {
  const pairs = webhooks.map((each) => each.split("/") as [string, string]);
  return resourcesOf("item")
    .filter(({ billed }) => billed !== "each")
    .filter(({ touchedBy: those }) => pairs.some(([type, code]) => touches(those, type, code)))
    .map((resource) =>
      pairs.some(([type, code]) => touches(resource.rereadAfter ?? [], type, code))
        ? asOneOfAll(resource)
        : requestOnce(resource),
    );
}

function outcomeOf(state: BackfillState | null): Outcome | null {
  if (!state || state.status === "unlinked") return fail("unlinked");
  if (state.waiting) return null;
  const { status, error_code } = state;
  return status === "ok" || error_code === null ? end("read") : fail(error_code);
}
