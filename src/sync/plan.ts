/**
 * Decides what a run is to do, from the webhooks that wait and from what was wanted. Pure.
 */
import { resourcesOf, rootOf, touches } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import { BY_WISH, type Claim, type Status, type Task, type Waiting } from "./types.ts";

/** No run has brought all of it yet (or it is linked anew), so everything is fetched whatever the webhooks touch. */
const UNSEEN: ReadonlySet<Status> = new Set(["pending", "unlinked", "ended"]);
/** It may have been mended without a word, so what it says of itself is read again. */
const AILING: ReadonlySet<Status> = new Set(["needs_user", "retrying", "misconfigured"]);

const ALL = "*";
const FULL = ":full";

/**
 * The tasks of a run, in the order in which resources are declared.
 *
 * `wanted` holds names of resources, `*` for all of them, either with `:full` to read from the start. Names that nobody
 * knows are passed over.
 */
export function planRun(claim: Pick<Claim, "kind" | "status" | "wanted">, webhooks: readonly Waiting[]): Task[] {
  const resources = resourcesOf(claim.kind);
  const root = rootOf(resources);
  const tasks = new Map<string, Task>();
  const add = (resource: Resource, more: Partial<Task> = {}): void => {
    const { full, explicit, fullFor = [] } = tasks.get(resource.name) ?? { full: false, explicit: false };
    tasks.set(resource.name, {
      resource,
      full: full || more.full === true,
      explicit: explicit || more.explicit === true,
      fullFor: more.full === true ? [...fullFor, ...(more.fullFor ?? [BY_WISH])] : fullFor,
    });
  };

  if (UNSEEN.has(claim.status)) for (const resource of resources) add(resource);
  for (const wish of claim.wanted) {
    const full = wish.endsWith(FULL);
    const name = full ? wish.slice(0, -FULL.length) : wish;
    for (const resource of resources) {
      if (name === ALL) add(resource, { full });
      else if (name === resource.name) add(resource, { full, explicit: true });
    }
  }
  for (const { id, type, code } of webhooks) {
    const aboutSubject = root !== undefined && touches(root.touchedBy, type, code);
    for (const resource of touchedBy(resources, type, code)) {
      const full = touches(resource.rereadAfter ?? [], type, code);
      add(resource, { full, explicit: !aboutSubject, fullFor: [id] });
    }
  }
  const unsure = [...tasks.values()].some(({ resource, explicit }) => resource.products !== undefined && !explicit);
  if (root && tasks.size > 0 && (AILING.has(claim.status) || unsure)) add(root);
  return resources.flatMap(({ name }) => tasks.get(name) ?? []);
}

/**
 * The tasks of a run that goes on with what the last one left, since nothing was asked for in between: only what is named
 * in `wanted`. Its webhooks wait for that alone.
 */
export const planRest = ({ kind, wanted }: Pick<Claim, "kind" | "wanted">): Task[] =>
  planRun({ kind, wanted, status: "ok" }, []);

/** The resources that a webhook touches. */
export function touchedBy(resources: readonly Resource[], type: string | null, code: string | null): Resource[] {
  return resources.filter((resource) => touches(resource.touchedBy, type, code));
}

/** How a task is written in `wanted`. */
export const wish = ({ resource, full }: Task): string => (full ? resource.name + FULL : resource.name);
export const EVERYTHING = ALL;
export const EVERYTHING_AGAIN = ALL + FULL;
