/**
 * Previews a route: applies it to past events, newest first, before it is created. Events are read in pages without their payloads,
 * and payloads in slices of bounded size where the route needs them, so memory stays bounded.
 */
import type { Queryable } from "../../database/types.ts";
import { toEventId } from "../../model/ids.ts";
import { payloadOf, render, renderForDisplay, WEBHOOK_RECEIVED } from "../content/body.ts";
import { readSources } from "../content/sources.ts";
import { errorOf, ValidationErrors } from "../../model/validation.ts";
import { matchesFilter, matchesType } from "./filter.ts";
import { compileMatcher, type Matcher } from "./matcher.ts";
import { ID_RANGE, PAST_EVENTS } from "./preview-queries.ts";
import { checkDefinition, PreviewRequest, type NewRouteDefinition } from "./route.schema.ts";
import type { Transforms } from "../content/transform.ts";
import type { EventSource, RouteDefinition, SizedEvent } from "../model/types.ts";

export interface PreviewRange {
  since: Date;
  /** up to and with this millisecond */
  until: Date;
  /** the newest events to examine, at most: 1 to 5,000 */
  limit: number;
}

export interface PreviewSample {
  /** `evt_…` */
  event_id: string;
  type: string;
  /** ISO 8601 */
  occurred_at: string;
  /** the first 4 kB of the body; null where the transform fails */
  body: string | null;
  /** why the transform fails */
  error: string | null;
}

export interface Preview {
  /** events that were examined, of the kinds that the route's types name */
  examined: number;
  /** those that the route takes */
  matched: number;
  /** those of them whose transform fails */
  failed: number;
  /** there were more events, but the limit was reached or the preview took too long */
  truncated: boolean;
  /** up to five of those that match, newest first */
  samples: PreviewSample[];
}

const PAGE = 500;
/** Events between two checks of the time. */
const PAYLOADS = 20;
const SAMPLES_MAX = 5;
const SAMPLE_BYTES = 4096;
/** The preview ends after this time, even if a transform takes its full time on each event. */
const PATIENCE_MS = 20_000;

/**
 * @throws TartanError `invalid_request` naming each field that has an error, of the route or the range
 */
export async function previewRoute(
  q: Queryable,
  transforms: Transforms,
  given: NewRouteDefinition,
  range: PreviewRange,
): Promise<Preview> {
  const definition = checkDefinition(given);
  checkRange(range);
  const preview: Preview = { examined: 0, matched: 0, failed: 0, truncated: false, samples: [] };
  const tried: Trial = { definition, transforms, matches: compileMatcher(definition.match ?? {}), preview };
  const patientUntil = performance.now() + PATIENCE_MS;
  for await (const page of pastEvents(q, definition, range)) {
    const room = range.limit - preview.examined;
    const examined = page.slice(0, room);
    for (let at = 0; at < examined.length; at += PAYLOADS) {
      if (performance.now() > patientUntil) return { ...preview, truncated: true };
      const few = examined.slice(at, at + PAYLOADS);
      await tryEvents(q, tried, few);
      preview.examined += few.length;
    }
    if (page.length > room) return { ...preview, truncated: true };
  }
  return preview;
}

function checkRange({ since, until, limit }: PreviewRange): void {
  const errors = new ValidationErrors();
  if (Number.isNaN(since.getTime())) errors.add("since", "must be an instant");
  else if (!(since.getTime() <= until.getTime())) errors.add("until", "must be an instant that is not before since");
  errors.add("limit", errorOf(PreviewRequest.shape.limit, limit));
  errors.throwIfAny("preview");
}

/** Pages of events, newest first, of the kinds that the route may take; one more than the limit in all. */
async function* pastEvents(
  q: Queryable,
  { filter }: RouteDefinition,
  range: PreviewRange,
): AsyncIterable<SizedEvent[]> {
  const { types = ["*"] } = filter;
  const webhooks = types.some((pattern) => matchesType(pattern, WEBHOOK_RECEIVED));
  const others = types.some((pattern) => pattern !== WEBHOOK_RECEIVED && pattern !== "webhook.*");
  const { rows } = await q.query<{ least: string; behind: string }>(ID_RANGE, [range.since, range.until]);
  const [{ least, behind }] = rows as [{ least: string; behind: string }];
  let before = behind;
  for (let left = range.limit + 1; left > 0;) {
    const size = Math.min(PAGE, left);
    const page = (await q.query<SizedEvent>(PAST_EVENTS, [least, before, size, webhooks, others])).rows;
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < size) return;
    before = last.id;
    left -= page.length;
  }
}

interface Trial {
  definition: RouteDefinition;
  transforms: Transforms;
  matches: Matcher;
  /** is added to */
  preview: Preview;
}

async function tryEvents(q: Queryable, trial: Trial, events: readonly SizedEvent[]): Promise<void> {
  const { definition, preview, matches } = trial;
  const passed = events.filter((event) => matchesFilter(definition.filter, event));
  const readsAll = definition.match !== null || definition.form === "transform";
  const read = readsAll ? passed : passed.slice(0, SAMPLES_MAX - preview.samples.length);
  preview.matched += passed.length - read.length;
  for await (const source of readSources(q, read)) {
    if (definition.match !== null && !matches(payloadOf(source))) continue;
    preview.matched += 1;
    await tryBody(trial, source);
  }
}

async function tryBody({ definition, transforms, preview }: Trial, source: EventSource): Promise<void> {
  const isWanted = preview.samples.length < SAMPLES_MAX;
  if (definition.transform === null && !isWanted) return;
  const { body, error } = await bodyOf(definition, transforms, source);
  if (error !== null) preview.failed += 1;
  if (!isWanted) return;
  preview.samples.push({
    event_id: toEventId(source.id),
    type: source.type,
    occurred_at: source.occurredAt.toISOString(),
    body: body && headOf(body),
    error,
  });
}

async function bodyOf(
  { form, transform }: RouteDefinition,
  transforms: Transforms,
  source: EventSource,
): Promise<{ body: Buffer | null; error: string | null }> {
  if (transform === null) return { body: renderForDisplay(source, form), error: null };
  const made = await transforms.run(transform, render(source, "event").toString("utf8"));
  return "json" in made
    ? { body: Buffer.from(made.json), error: null }
    : { body: null, error: `${made.cause}: ${made.message}` };
}

/** The first 4 kB as text, without half a character at its end. */
const headOf = (body: Buffer): string =>
  new TextDecoder().decode(body.subarray(0, SAMPLE_BYTES), { stream: body.length > SAMPLE_BYTES });
