/**
 * The events of a Tartan elsewhere, as they happen, over its stream of server-sent events. First it is asked where the
 * events end just now; from there on the stream is read, and taken up again where it was cut, so nothing is missed.
 */
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { systemClock } from "../clock.ts";
import { TartanError } from "../errors.ts";
import type { EventWishes } from "./live.ts";

interface RemoteOptions extends EventWishes {
  url: string;
  key: string;
  signal: AbortSignal;
  /** called once, when the server has accepted the key and the filter */
  onOpen(): void;
  /** hears why the stream was cut, before it is taken up again */
  onCut(reason: string): void;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
/** The server says something every 15 seconds; a connection that says nothing for so long is dead. */
const SILENCE_MS = 60_000;

/** @throws TartanError when the server refuses, which trying again would not mend */
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
  const timer = setTimeout(() => silence.abort(new Error("nothing was heard for a minute")), SILENCE_MS);
  try {
    const signal = AbortSignal.any([options.signal, silence.signal]);
    const answer = await ask(options, "/v1/events/stream", { cursor }, signal);
    const heard: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (message) => void heard.push(message) });
    const decoder = new TextDecoder();
    for await (const bytes of answer.body ?? []) {
      timer.refresh();
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      yield* heard.splice(0);
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
  const wishes = {
    ...query,
    ...(types && { types: types.join(",") }),
    ...(item_id && { item_id }),
    history: String(history === true),
  };
  for (const [name, value] of Object.entries(wishes)) asked.searchParams.set(name, value);
  const answer = await fetch(asked, { headers: { authorization: `Bearer ${key}` }, redirect: "error", signal });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** What is the server's fault for now is an ordinary error, which is tried again. */
async function refusal(answer: Response): Promise<Error> {
  const said = ((await answer.json().catch(() => null)) as { error?: { message?: string } } | null)?.error?.message;
  const message = said ?? `The server answered ${answer.status}.`;
  if (answer.status === 401) return new TartanError("unauthorized", `${message} Give its API key with --key.`);
  if (answer.status === 404) return new TartanError("not_found", "There is no Tartan with events at this --url.");
  if (answer.status === 410) return new TartanError("cursor_expired", message);
  if (answer.status >= 400 && answer.status < 500) return new TartanError("invalid_request", message);
  return new Error(`it answered ${answer.status}`);
}

/** fetch says only that it failed; why is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause);
}
