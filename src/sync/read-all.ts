/** Reads all resources of a run from Plaid. One that fails does not delay the others. */
import { mirroredRoot } from "../mirror/apply.ts";
import { TOKEN_OF_ANOTHER_ITEM } from "../plaid/reasons.ts";
import { resourcesOf, rootOf, rootTable } from "../resources/index.ts";
import type { Reader } from "./ask.ts";
import { isGone, saysGone } from "./decision.ts";
import type { ResourceStatus } from "./ending.ts";
import type { Loops } from "./loops.ts";
import { hasProduct, productsIn } from "./products.ts";
import { readResource, readWithOf } from "./read.ts";
import type { Failure, Outcome, Task } from "./types.ts";

type ResourceStatuses = ReadonlyMap<string, ResourceStatus>;

/**
 * Reads the subject's own row first, because it shows whether the rest makes sense and whose token it is; then the rest side
 * by side. When another resource fails with an error of the subject, its own row is read after all.
 */
export async function readAll(
  reader: Reader,
  tasks: readonly Task[],
  { statuses, loops }: { statuses: ResourceStatuses; loops: Loops },
): Promise<Outcome[]> {
  const read = async (task: Task): Promise<Outcome> => {
    const { name } = task.resource;
    const outcome = await readResource(reader, task, cursorFor(reader, task, statuses), loops.get(name));
    // Without earlier rows, none can be gone.
    const before = statuses.get(name)?.rows ?? 0;
    return "read" in outcome && before === 0 ? { ...outcome, partial: false } : outcome;
  };
  const own = ownTask(reader);
  const rootTask =
    tasks.find(({ resource }) => rootTable(resource) !== undefined) ?? (reader.unconfirmed ? own : undefined);
  const root = rootTask ? await read(rootTask) : null;
  const others = tasks.filter((task) => task !== rootTask);
  if (root && endsAll(root, reader)) return [root, ...others.map((task) => followSuit(task, root))];
  if (root && others.length === 0 && saysGone(root)) others.push(...probe(reader));
  const skip = await skipping(reader, others, root);
  const settled = await allOf(others.map((task) => skip(task) ?? read(task)));
  const outcomes = root ? [root, ...settled] : settled;
  if (!root && own && outcomes.some(speaksOfSubject)) outcomes.unshift(await read(own));
  const foreign = outcomes.find(isForeign);
  return foreign
    ? outcomes.map((outcome) =>
        "read" in outcome || "paused" in outcome ? followSuit(outcome.task, foreign) : outcome,
      )
    : outcomes;
}

function ownTask({ scope }: Reader): Task | undefined {
  const own = rootOf(resourcesOf(scope.kind));
  return own && { resource: own, full: false, explicit: false };
}

/** The request that confirms that a subject is gone whose own row says so. */
function probe({ scope }: Reader): Task[] {
  const resource = resourcesOf(scope.kind).find(
    (one) => rootTable(one) === undefined && one.products === undefined && one.billed === undefined,
  );
  return resource ? [{ resource, full: false, explicit: false }] : [];
}

/** The cursor of the reading; null, for the start, if older rows were read with other options. */
function cursorFor(reader: Reader, task: Task, statuses: ResourceStatuses): string | null {
  const known = statuses.get(task.resource.name);
  return known?.readWith === readWithOf(task.resource, reader.asker) ? known.cursor : null;
}

/** Waits for all, so that none continues in the background, and then throws the first error. */
async function allOf(readings: readonly (Outcome | Promise<Outcome>)[]): Promise<Outcome[]> {
  const settled = await Promise.allSettled(readings);
  return settled.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

const classOf = (outcome: Outcome): Failure["class"] | null => ("failure" in outcome ? outcome.failure.class : null);
/** The rest would fail as well; or, while the token's item is unknown, might succeed for another item. */
const endsAll = (root: Outcome, { unconfirmed }: Reader): boolean =>
  "failure" in root && (unconfirmed !== null || root.failure.class === "configuration" || isGone(root.failure));
const isForeign = (outcome: Outcome): boolean =>
  "failure" in outcome && outcome.failure.errorCode === TOKEN_OF_ANOTHER_ITEM;
const speaksOfSubject = (outcome: Outcome): boolean => ["item_ended", "user"].includes(classOf(outcome) ?? "");

const followSuit = (task: Task, other: Outcome): Outcome =>
  "failure" in other ? { task, failure: other.failure, unasked: true } : { task, skipped: true };

/**
 * The resources not to request: those of products that the subject does not have, since a request could add the product
 * and bill it. A request by name, and Plaid's webhook of that product, override that. While the subject's products are not
 * known, such a resource waits.
 */
async function skipping(
  { database, scope }: Reader,
  tasks: readonly Task[],
  root: Outcome | null,
): Promise<(task: Task) => Outcome | null> {
  const unsure = (task: Task): boolean => task.resource.products !== undefined && !task.explicit;
  const own = rootOf(resourcesOf(scope.kind));
  if (!own?.productsAt || !tasks.some(unsure)) return () => null;
  const row = root && "read" in root ? root.root : await mirroredRoot(database, scope, own);
  const listed = productsIn(row, own.productsAt);
  return (task) => {
    if (!unsure(task)) return null;
    if (listed === null) return root ? followSuit(task, root) : null;
    return hasProduct(task.resource, listed) ? null : { task, skipped: true };
  };
}
