/** The live log of webhooks, which the demo prints and `tartan webhooks tail`. */
import { expect, it } from "vitest";
import { followWebhooks } from "../../../src/cli/output/webhook-log.ts";
import { TartanError } from "../../../src/errors.ts";
import type { Records, WebhookRecord } from "../../../src/model/records.ts";

const webhook = (id: string) => ({ id, processed_at: "2026-11-20T17:03:29.051Z" }) as WebhookRecord;

/** Answers each reading with the next of these; the last reading aborts the log. */
function readings(...answers: (readonly WebhookRecord[] | Error)[]) {
  const stop = new AbortController();
  const list = async () => {
    const next = answers.shift();
    if (answers.length === 0) stop.abort();
    if (next instanceof Error) throw next;
    return { data: [...(next ?? [])], next_cursor: null };
  };
  return { records: { list } as unknown as Records, signal: stop.signal };
}

async function followed(...answers: Parameters<typeof readings>): Promise<string[]> {
  const seen: string[] = [];
  const onWebhook = (_line: string, { id }: WebhookRecord): void => void seen.push(id);
  await followWebhooks(...optionsOf(readings(...answers), onWebhook));
  return seen;
}

const optionsOf = (
  { records, signal }: ReturnType<typeof readings>,
  onWebhook: (line: string, webhook: WebhookRecord) => void,
): Parameters<typeof followWebhooks> => [records, { filter: {}, fromTheStart: true, signal, onWebhook }];

it("the live log outlives an outage of Postgres, and reports afterwards what came meanwhile, once", async () => {
  const away = new TartanError("database_unavailable", "Postgres cannot be reached.");
  const seen = await followed([webhook("whk_1")], away, away, [webhook("whk_2"), webhook("whk_1")], []);
  expect(seen).toEqual(["whk_1", "whk_2"]);
});

it("the live log ends with an error other than an outage", async () => {
  await expect(followed([webhook("whk_1")], new Error("a mistake"), [])).rejects.toThrow("a mistake");
});
