/**
 * Plans a run, from the waiting webhooks and the requests. Pure.
 */
import { resourcesOf, rootOf, touches } from "../resources/index.ts";
import type { Resource } from "../resources/types.ts";
import type { WaitingWebhook } from "../journal/served.ts";
import { EVERYTHING } from "../model/webhook.ts";
import { ON_REQUEST, type Claim, type Status, type Task } from "./types.ts";

/** No run has read all of it yet (or it was linked anew), so everything is read, not only what the webhooks touch. */
const UNSEEN: ReadonlySet<Status> = new Set(["pending", "unlinked", "ended"]);
/** It may have been repaired without a webhook, so its own row is read again. */
const UNHEALTHY: ReadonlySet<Status> = new Set(["needs_user", "retrying", "misconfigured"]);

const FULL = ":full";

/**
 * The tasks of a run, in the order in which resources are declared.
 *
 * Requests are names of resources or EVERYTHING, either with `:full` to read from the start. Unknown names are ignored.
 */
export function planRun(
  claim: Pick<Claim, "kind" | "status" | "requested">,
  webhooks: readonly WaitingWebhook[],
): Task[] {
  const resources = resourcesOf(claim.kind);
  const root = rootOf(resources);
  const tasks = new Map<string, Task>();
  const add = (resource: Resource, more: Partial<Task> = {}): void => {
    const { full, explicit, fullFor = [] } = tasks.get(resource.name) ?? { full: false, explicit: false };
    tasks.set(resource.name, {
      resource,
      full: full || more.full === true,
      explicit: explicit || more.explicit === true,
      fullFor: more.full === true ? [...fullFor, ...(more.fullFor ?? [ON_REQUEST])] : fullFor,
    });
  };

  if (UNSEEN.has(claim.status)) for (const resource of resources) add(resource);
  const addRequested = (requests: readonly string[], fullFor: readonly string[]): void => {
    for (const { name, full } of requests.map(readRequest))
      for (const resource of resources) {
        if (name === EVERYTHING) add(resource, { full, fullFor });
        else if (name === resource.name) add(resource, { full, explicit: true, fullFor });
      }
  };
  addRequested(claim.requested, [ON_REQUEST]);
  for (const { id, type, code, requested } of webhooks) {
    addRequested(requested, [id]);
    const aboutSubject = root !== undefined && touches(root.touchedBy, type, code);
    for (const resource of touchedBy(resources, type, code)) {
      const full = touches(resource.rereadAfter ?? [], type, code);
      add(resource, { full, explicit: !aboutSubject, fullFor: [id] });
    }
  }
  const unsure = [...tasks.values()].some(({ resource, explicit }) => resource.products !== undefined && !explicit);
  if (root && tasks.size > 0 && (UNHEALTHY.has(claim.status) || unsure)) add(root);
  return resources.flatMap(({ name }) => tasks.get(name) ?? []);
}

/**
 * The tasks of a run that only continues what the last one left, since nothing was requested in between: the names
 * in `requested`. Its webhooks wait for these only.
 */
export const planRest = ({ kind, requested }: Pick<Claim, "kind" | "requested">): Task[] =>
  planRun({ kind, requested, status: "ok" }, []);

function readRequest(request: string): { name: string; full: boolean } {
  const full = request.endsWith(FULL);
  return { name: full ? request.slice(0, -FULL.length) : request, full };
}

/** The resources that a webhook touches or whose reading it requests: none where it needs no run. */
export function resourcesFor(
  resources: readonly Resource[],
  { type, code, requested }: Pick<WaitingWebhook, "type" | "code" | "requested">,
): Resource[] {
  const names = new Set(requested.map((request) => readRequest(request).name));
  return resources.filter(
    ({ name, touchedBy }) => names.has(EVERYTHING) || names.has(name) || touches(touchedBy, type, code),
  );
}

/** The resources that a webhook touches. */
export function touchedBy(resources: readonly Resource[], type: string | null, code: string | null): Resource[] {
  return resources.filter((resource) => touches(resource.touchedBy, type, code));
}

/** A task as a request. */
export const requestFor = ({ resource, full }: Task): string => (full ? resource.name + FULL : resource.name);
