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
/** Behind a name: only where the subject has the resource's product, as for one of all. */
const LISTED = ":listed";

/**
 * The tasks of a run, in the order in which resources are declared.
 *
 * Requests are names of resources or EVERYTHING, either with `:full` to read from the start. Unknown names are ignored. A resource that
 * is billed by request is left out unless it is `enabled`, and one that is billed for every request also unless a request names it.
 */
export function planRun(
  claim: Pick<Claim, "kind" | "status" | "requested">,
  webhooks: readonly WaitingWebhook[],
  enabled: Enabled = [],
): Task[] {
  const resources = requestable(claim.kind, enabled);
  const root = rootOf(resources);
  const tasks = new Map<string, Task>();
  const add = (resource: Resource, more: Partial<Task> = {}, byName = false): void => {
    if (resource.billed === "each" && !byName) return;
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
    for (const { name, full, listed } of requests.map(readRequest))
      for (const resource of resources) {
        if (name === EVERYTHING) add(resource, { full, fullFor });
        else if (name === resource.name) add(resource, { full, explicit: !listed, fullFor }, true);
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
export const planRest = ({ kind, requested }: Pick<Claim, "kind" | "requested">, enabled: Enabled): Task[] =>
  planRun({ kind, requested, status: "ok" }, [], enabled);

function readRequest(request: string): { name: string; full: boolean; listed: boolean } {
  const listed = request.endsWith(LISTED);
  const rest = listed ? request.slice(0, -LISTED.length) : request;
  const full = rest.endsWith(FULL);
  return { name: full ? rest.slice(0, -FULL.length) : rest, full, listed };
}

/** The names of billed resources that an integration enables. */
export type Enabled = readonly string[];

/** The resources of a kind of subject that may be requested. */
export const requestable = (kind: string, enabled: Enabled): Resource[] =>
  resourcesOf(kind).filter(({ name, billed }) => billed === undefined || enabled.includes(name));

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

/** The request to read all of a resource where the subject has its product. */
export const asOneOfAll = ({ name }: Resource): string => name + FULL + LISTED;

/** The request to read what is new of a resource where the subject has its product. */
export const requestOnce = ({ name }: Resource): string => name + LISTED;

/** A task as a request. */
export const requestFor = ({ resource, full }: Task): string => (full ? resource.name + FULL : resource.name);
