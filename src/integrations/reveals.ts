/**
 * What an integration reveals and enables. A change commits first and notes the work that follows for the stored rows: to mask those of
 * a resource that is no longer revealed, and to read a resource that is revealed or enabled. lifecycle/ does the work, in parts.
 *
 * Hiding wins over every run, and waits for none. The change commits at once. A commit that writes revealed rows shares a lock of the
 * resource (`revealedOf`) and then looks whether it is still revealed; masking takes that lock alone, page by page (`takeReveal`). So
 * masking begins once all commits that began before the change are over, and finds their rows. A later one sees the change, does
 * not take the lock, and masks by itself. The lock is a row of its own, so that nobody who changes the integration waits for it.
 */
import type { Queryable } from "../database/types.ts";
import { audit } from "../audit/audit.ts";
import type { Change } from "../model/change.ts";
import { RESOURCES } from "../resources/index.ts";
import {
  ADD_REVEALS,
  ENABLED,
  HOLD_REVEALS,
  LIST_REVEALS_UNDER_WAY,
  NOTE_REVEALS_DONE,
  REVEALED,
  REVEALS_UNDER_WAY,
  SET_REVEALS,
  SHARE_REVEALS,
  TAKE_REVEAL,
} from "./queries.ts";

interface Reveals {
  revealed: readonly string[];
  enabled: readonly string[];
}

/** Each once, in one order. */
export const namesIn = (names: readonly string[]): string[] => [...new Set(names)].toSorted();

const without = (names: readonly string[], others: readonly string[]): string[] =>
  names.filter((name) => !others.includes(name));

/** A resource that is billed for every request is read only when somebody asks for it. */
const isReadAlone = (name: string): boolean => RESOURCES.find((each) => each.name === name)?.billed !== "each";

/** Sets what is given of both lists, and notes the work that follows. @returns whether there is work */
export async function setReveals(
  tx: Queryable,
  id: string,
  given: { [list in keyof Reveals]: Reveals[list] | undefined },
  by: Change,
): Promise<boolean> {
  const [before] = (await tx.query<Reveals>(HOLD_REVEALS, [id])).rows;
  if (!before) return false;
  const revealed = namesIn(given.revealed ?? before.revealed);
  const enabled = namesIn(given.enabled ?? before.enabled);
  const hidden = without(before.revealed, revealed);
  const added = [...without(revealed, before.revealed), ...without(enabled, before.enabled)];
  if (hidden.length + added.length === 0 && without(before.enabled, enabled).length === 0) return false;
  await makeLocks(tx, id, [...revealed, ...hidden]);
  await tx.query(SET_REVEALS, [id, revealed, enabled, hidden, added.filter(isReadAlone)]);
  await auditReveals(tx, id, by, before, { revealed, enabled });
  return hidden.length + added.length > 0;
}

/** Hides all that the integration reveals. Does nothing where it is deleted already, since nothing is revealed then. */
export async function hideAll(tx: Queryable, id: string, by: Change): Promise<void> {
  await setReveals(tx, id, { revealed: [], enabled: undefined }, by);
}

/** Makes what `revealedOf` shares. A resource without it counts as not revealed. */
export async function makeLocks(tx: Queryable, id: string, revealed: readonly string[]): Promise<void> {
  if (revealed.length > 0) await tx.query(ADD_REVEALS, [id, revealed]);
}

/** Records what has become revealed, hidden, enabled and disabled. */
export async function auditReveals(
  tx: Queryable,
  integrationId: string,
  by: Change,
  before: Reveals,
  after: Reveals,
): Promise<void> {
  const happened = [
    ["resources.revealed", without(after.revealed, before.revealed)],
    ["resources.hidden", without(before.revealed, after.revealed)],
    ["resources.enabled", without(after.enabled, before.enabled)],
    ["resources.disabled", without(before.enabled, after.enabled)],
  ] as const;
  for (const [action, resources] of happened)
    if (resources.length > 0) await audit(tx, by, { action, integrationId, details: { resources } });
}

/**
 * Which of the resources the integration reveals. Until the transaction ends, no stored row of these is masked: hiding one commits
 * meanwhile, and its masking waits.
 * @param names of resources with sensitive fields
 */
export async function revealedOf(tx: Queryable, id: string, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const shared = (await tx.query<{ resource: string }>(SHARE_REVEALS, [id, names])).rows;
  if (shared.length === 0) return [];
  // A statement of its own, which sees what was hidden until the lock was shared.
  const { revealed = [] } = (await tx.query<Reveals>(REVEALED, [id])).rows[0] ?? {};
  return shared.map(({ resource }) => resource).filter((name) => revealed.includes(name));
}

/**
 * Takes the lock of a resource alone until the transaction ends. Later statements see the rows of all commits that shared it.
 * @returns false where a commit shares it
 */
export async function takeReveal(tx: Queryable, id: string, resource: string): Promise<boolean> {
  return (await tx.query(TAKE_REVEAL, [id, resource])).rowCount > 0;
}

/** The billed resources that an integration enables, and why it asks for those of which Plaid wants to know. */
export interface Enabling {
  enabled: readonly string[];
  permissiblePurpose: string | null;
  /** what its user has withdrawn is erased */
  erasesRevoked: boolean;
}

/** Both are read at once: one change may set both, and Plaid refuses some of the resources without the purpose. */
export async function enablingOf(q: Queryable, id: string): Promise<Enabling> {
  const [row] = (await q.query<Enabling>(ENABLED, [id])).rows;
  return row ? { ...row } : { enabled: [], permissiblePurpose: null, erasesRevoked: false };
}

/** The billed resources that the integration enables. */
export const enabledOf = async (q: Queryable, id: string): Promise<readonly string[]> =>
  (await enablingOf(q, id)).enabled;

/** The work that changes have left. */
export interface RevealsUnderWay {
  toMask: readonly string[];
  toRead: readonly string[];
  /** of the change that noted it */
  version: number;
}

export const listRevealsUnderWay = async (q: Queryable): Promise<string[]> =>
  (await q.query<{ id: string }>(LIST_REVEALS_UNDER_WAY)).rows.map(({ id }) => id);

/** The work of an integration, null where it is gone. */
export async function revealsUnderWay(q: Queryable, id: string): Promise<RevealsUnderWay | null> {
  return (await q.query<RevealsUnderWay>(REVEALS_UNDER_WAY, [id])).rows[0] ?? null;
}

/** Notes that the rows of a resource are masked, or that its reading was requested; does nothing after another change. */
export async function noteRevealsDone(
  q: Queryable,
  id: string,
  { masked = null, read = null, version }: { masked?: string | null; read?: string | null; version: number },
): Promise<void> {
  await q.query(NOTE_REVEALS_DONE, [id, masked, read, version]);
}
