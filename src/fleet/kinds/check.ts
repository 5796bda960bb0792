/**
 * Checks of many items: a full check of each (sync/full-check.ts), behind all that webhooks made due.
 *
 *   pending ──the full check is requested──▶ reading ──its runs have ended──▶ equal, or differs: healed, and recorded as a gap
 */
import { beginFullChecks, getFullChecks, type FullCheckState } from "../../sync/full-checks.ts";
import { end, fail, type Context, type Kind, type Outcome, type WorkedMember } from "../kind.ts";
import { CAUSES, outcomesOf, room, untilEnd } from "./reading.ts";

export const check: Kind = {
  name: "check",
  states: {
    pending: "It waits for its turn.",
    reading: "It is being read and compared.",
    equal: "No row was wrong.",
    differs: "Rows were wrong. They are healed; the item's check names them.",
    failed: "It could not be proven; the cause says why.",
  },
  changes: ["differs"],
  causes: {
    ...CAUSES,
    unproven: { message: "Something of the item could not be read.", next_step: "See `npx tartan items show`." },
  },
  perMinute: 120,
  exclusive: true,
  room,
  work,
  arrived: async ({ database }, members) => outcomesOf(members, await getFullChecks(database, members), outcomeOf),
};

/** In a member's details: when the check was requested that the item had before this one. */
const CHECK_BEFORE = "check_before";

async function work(context: Context, member: WorkedMember): Promise<Outcome> {
  const { database, job } = context;
  if (!(await isBegun(context, member))) {
    const resources = job.asked["resources"] as readonly string[] | undefined;
    const begun = await database.transaction((tx) => beginFullChecks(tx, [member], resources));
    if (begun.length === 0) return fail("unlinked");
  }
  return await untilEnd(context, "reading", async () => {
    const [state = null] = await getFullChecks(database, [member]);
    return outcomeOf(state);
  });
}

/**
 * Whether a process that died behind the request of the check has begun it. The check's run heals what it finds, so another check would
 * find nothing and call the item equal. One that could not prove the item is made again.
 */
async function isBegun({ database }: Context, member: WorkedMember): Promise<boolean> {
  const [state = null] = await getFullChecks(database, [member]);
  const before = member.details[CHECK_BEFORE];
  if (state && before !== undefined && state.requested_at !== before && state.status !== "unproven") return true;
  await member.note({ [CHECK_BEFORE]: state?.requested_at ?? null });
  return false;
}

function outcomeOf(state: FullCheckState | null): Outcome | null {
  if (!state) return fail("unlinked");
  const { status, wrong, may_be_new, error_code, differences } = state;
  if (status === "running") return null;
  if (status === "unproven") return fail(error_code ?? "unproven");
  if (status === "equal") return end("equal", { may_be_new });
  const tables = [...new Set(differences.filter((row) => !row.may_be_new).map(({ table }) => table))];
  return end("differs", { wrong, may_be_new, tables });
}
