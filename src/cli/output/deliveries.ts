/** Prints deliveries: as a table, and one delivery with its attempts in order. */
import type { DeliveryPage, DeliveryRecord, DeliveryWhole } from "../../relay/ledger/deliveries.ts";
import { describeCause } from "../../relay/model/causes.ts";
import { ago, bold, cyan, dim, green, red, say, sayFacts, sayTable, short, state, tell } from "./print.ts";

export function sayDeliveries({ data, next_cursor }: DeliveryPage, none: string): void {
  sayTable(
    data,
    {
      id: ({ id }) => id,
      event: ({ event_type }) => event_type,
      item: ({ item_id }) => short(item_id),
      destination: ({ destination_id }) => short(destination_id, 14),
      status: ({ status }) => state(status),
      attempts: ({ attempts }) => String(attempts),
      answer: answerOf,
      when: whenOf,
    },
    none,
  );
  if (next_cursor) tell(dim(`more: --cursor ${next_cursor}`));
}

/** What the receiver answered, or why it did not. */
export function answerOf({ status, cause, last_status }: DeliveryRecord): string {
  if (status === "delivered") return green(String(last_status ?? ""));
  return cause ? red(cause) : "";
}

const whenOf = ({ finished_at, due_at, created_at }: DeliveryRecord): string =>
  finished_at ? ago(finished_at) : dim(`due ${ago(due_at ?? created_at)}`);

/** A delivery and, for each attempt, when, how long, where to, and what was answered. */
export function sayDelivery(delivery: DeliveryWhole): void {
  const { status, job_id, body_sha256, due_at, finished_at } = delivery;
  sayFacts({
    delivery: bold(delivery.id),
    event: `${cyan(delivery.event_type)} ${dim(delivery.event_id)}`,
    item: delivery.item_id,
    destination: delivery.destination_id,
    route: `${delivery.route_id} ${dim(`version ${delivery.route_version}, form ${delivery.form}`)}`,
    status: state(status),
    cause:
      status === "delivered"
        ? null
        : delivery.cause && `${red(delivery.cause)} ${dim(delivery.detail ?? describeCause(delivery.cause))}`,
    created: `${delivery.created_at} ${dim(ago(delivery.created_at))}`,
    [finished_at ? "finished" : "due"]: `${finished_at ?? due_at ?? ""} ${dim(ago(finished_at ?? due_at))}`,
    "rescheduled by": job_id,
    sha256: body_sha256 && dim(body_sha256),
  });
  say();
  if (delivery.log.length === 0) say(dim("No attempt yet."));
  for (const attempt of delivery.log) sayAttempt(attempt);
}

function sayAttempt({ number, started_at, duration_ms, status, error, address, url, ...answer }: Attempt): void {
  const mark = error === null ? green("●") : red("●");
  const result = error === null ? green(String(status)) : red(status === null ? error : `${status} ${error}`);
  say(
    `${mark} ${bold(`#${number}`)}  ${dim(started_at)}  ${result}  ${dim(duration_ms === null ? "" : `${duration_ms} ms`)}`,
  );
  say(dim(`│   ${url}${address ? `  ${address}` : ""}${answer.job_id ? `  for ${answer.job_id}` : ""}`));
  const retryAfter = answer.response_headers?.["retry-after"];
  if (retryAfter !== undefined) say(dim(`│   retry-after: ${String(retryAfter)}`));
  const head = answer.response_head?.slice(0, HEAD_SHOWN).trim();
  if (error !== null && head) for (const line of head.split("\n")) say(dim(`│   ${printable(line)}`));
}

type Attempt = DeliveryWhole["log"][number];

/** Characters of a failed answer that are enough to recognise it. */
const HEAD_SHOWN = 500;

/** A receiver's answer must not move the cursor or colour the terminal. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, "\uFFFD");
