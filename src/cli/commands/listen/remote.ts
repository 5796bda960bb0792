/**
 * The events of a remote Tartan, as they happen, over its stream of server-sent events. First the client asks for the cursor of
 * the newest event. It reads the stream from there, and after a lost connection from the last cursor, so it misses nothing.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { systemClock } from "../../../clock.ts";
import { TartanError } from "../../../errors.ts";
import type { LiveFilter } from "../../output/live-events.ts";

interface RemoteOptions extends LiveFilter {
  url: string;
  key: string;
  signal: AbortSignal;
  /** called once, when the server has accepted the key and the filter */
  onOpen(): void;
  /** called with the reason when the connection is lost, before the next try */
  onCut(reason: string): void;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
/** The server sends something every 15 seconds; a connection that is silent for this long is dead. */
const SILENCE_MS = 60_000;

/** @throws TartanError when the server refuses, since another try would be refused too */
export async function* remoteEvents(options: RemoteOptions): AsyncGenerator<string> {
  const { signal, onCut, onOpen } = options;
  let cursor: string | undefined;
  let delayMs = FIRST_DELAY_MS;
  while (!signal.aborted) {
    let reason = "the stream ended";
    try {
      if (cursor === undefined) {
        cursor = await endOfEvents(options);
        onOpen();
      }
      for await (const { id, data } of stream(options, cursor)) {
        delayMs = FIRST_DELAY_MS;
        yield data;
        cursor = id ?? cursor;
      }
    } catch (error) {
      if (error instanceof TartanError) throw error;
      reason = reasonOf(error);
    }
    if (signal.aborted) return;
    onCut(reason);
    await systemClock.sleep(delayMs, signal);
    delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS);
  }
}

async function endOfEvents(options: RemoteOptions): Promise<string> {
  const answer = await ask(options, "/v1/events", { cursor: "now", limit: "1" }, options.signal);
  return ((await answer.json()) as { next_cursor: string }).next_cursor;
}

async function* stream(options: RemoteOptions, cursor: string): AsyncGenerator<EventSourceMessage> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error("the server was silent for a minute")), SILENCE_MS);
  try {
    const signal = AbortSignal.any([options.signal, silence.signal]);
    const answer = await ask(options, "/v1/events/stream", { cursor }, signal);
    const messages: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (message) => void messages.push(message) });
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? []) {
      timer.refresh();
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      yield* messages.splice(0);
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

async function ask(
  { url, key, types, item_id, history }: RemoteOptions,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  const asked = new URL(`${url.replace(/\/+$/, "")}${path}`);
  const parameters = {
    ...query,
    ...(types && { types: types.join(",") }),
    ...(item_id && { item_id }),
    history: String(history === true),
  };
  for (const [name, value] of Object.entries(parameters)) asked.searchParams.set(name, value);
  const answer = await fetch(asked, { headers: { authorization: `Bearer ${key}` }, redirect: "error", signal });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** A failure of the server is an ordinary error, after which the client tries again. */
async function refusal(answer: Response): Promise<Error> {
  const said = ((await answer.json().catch(() => null)) as { error?: { message?: string } } | null)?.error?.message;
  const message = said ?? `The server answered ${answer.status}.`;
  if (answer.status === 401) return new TartanError("unauthorized", `${message} Give its API key with --key.`);
  if (answer.status === 404) return new TartanError("not_found", "There is no Tartan at this --url.");
  if (answer.status === 410) return new TartanError("cursor_expired", message);
  if (answer.status >= 400 && answer.status < 500) return new TartanError("invalid_request", message);
  return new Error(`it answered ${answer.status}`);
}

/** The error of fetch says only that it failed; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause);
}
