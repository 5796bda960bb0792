/**
 * marking: how fast one marker makes items due of webhooks that were accepted, each of an item of its own. The same webhooks are
 * appended first, in batches of the size that a busy intake commits, which is what a marker has to keep up with.
 */
import { append } from "../src/journal/append.ts";
import { markWaiting } from "../src/sync/marker.ts";
import { rate, tell, type Row } from "./report.ts";
import { webhookAbout } from "./webhooks.ts";
import { openWorld, type World } from "./world.ts";

const WEBHOOKS = 60_000;
const BATCH = 250;

export async function benchMarking(): Promise<Row[]> {
  await using world = await openWorld();
  const { id } = await world.integrate("http://127.0.0.1:9");
  // The first round compiles, plans and inserts the subjects; the second one finds them, as webhooks of known items do.
  await round(world, id);
  const { appended, marked } = await round(world, id);
  tell(`appended ${rate(appended)}, marked ${rate(marked)}`);
  return [
    {
      bench: "marking",
      what: "webhooks marked by one marker, distinct linked items",
      figure: rate(marked),
      against: `${rate(appended)} appended on one connection, in batches of ${BATCH}`,
      ratio: marked / appended,
    },
  ];
}

/** Webhooks a second that were appended, and that were marked. */
async function round({ database }: World, integrationId: string): Promise<{ appended: number; marked: number }> {
  await database.query(
    `insert into tartan.items (integration_id, item_id, access_token_sealed)
     select $1, 'item_' || n, '\\x00' from generate_series(1, $2::int) n on conflict do nothing`,
    [integrationId, WEBHOOKS],
  );
  await database.query("vacuum analyze tartan.items");
  const began = performance.now();
  for (let from = 1; from <= WEBHOOKS; from += BATCH) {
    await append(
      database,
      Array.from({ length: BATCH }, (_, index) => webhookAbout(integrationId, `item_${from + index}`)),
    );
  }
  const between = performance.now();
  while ((await markWaiting(database)).more);
  const ended = performance.now();
  const perSecond = (ms: number): number => WEBHOOKS / (ms / 1000);
  return { appended: perSecond(between - began), marked: perSecond(ended - between) };
}
