/**
 * claims: what it costs to find what is due, beside few integrations and beside ten thousand with a million subjects that
 * wait for later. growth.ts measures the same claim beside many webhooks. Subjects are claimed by the queue's own functions and given back.
 */
import { ms, tell, type Row } from "./report.ts";
import { claim, giveBack, wake } from "../src/sync/queue.ts";
import { openWorld, type World } from "./world.ts";

const AT_ONCE = 8;
const TURNS = 300;
const FEW = { integrations: 100, each: 10 };
/** Those that are due, for the claim in a backlog. */
const BACKLOG = { integrations: 10_000, each: 10 };
const MANY = { integrations: 10_000, each: Number(process.env["CLAIMS_EACH"] ?? 100) };

/** Milliseconds that a claim of eight due subjects takes, the median of `turns`. */
export async function claimSubjects({ database }: World, turns: number): Promise<number> {
  const took: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const began = performance.now();
    const claimed = await claim(database, "", AT_ONCE, 60);
    took.push(performance.now() - began);
    if (claimed.length !== AT_ONCE) throw new Error(`${claimed.length} subjects were due, not ${AT_ONCE}`);
    for (const each of claimed) await giveBack(database, each);
  }
  return median(took);
}

export async function benchClaims(): Promise<Row[]> {
  await using world = await openWorld();
  const { database } = world;
  // Due ones behind all that wait: their integrations sort last.
  await database.query(
    "insert into sync.subjects (integration_id, kind, id, due_at) select 'z' || n % 4, 'item', 'due_' || n, now() from generate_series(1, 32) n",
  );
  await fill(world, "a", FEW);
  // The first claims compile and plan what later ones reuse, so they are not measured.
  await claimSubjects(world, TURNS);
  const [few, fewLap] = [await claimSubjects(world, TURNS), await lapMs(world)];
  tell(`beside ${waiting(FEW)}: ${ms(few)} a claim`);
  await fill(world, "b", MANY);
  const [many, manyLap] = [await claimSubjects(world, TURNS), await lapMs(world)];
  tell(`beside ${waiting(MANY)}: ${ms(many)} a claim`);
  await fill(world, "c", BACKLOG, "now() - random() * interval '1 hour'");
  const backlog = await claimSubjects(world, TURNS);
  const aim = { ratio: 1.25, better: "less" } as const;
  return [
    {
      bench: "claims",
      what: `claim of ${AT_ONCE} subjects beside ${waiting(MANY)}`,
      figure: ms(many),
      against: `${ms(few)} beside ${waiting(FEW)}`,
      ratio: many / few,
      aim,
    },
    {
      bench: "claims",
      what: `the same behind ${(BACKLOG.integrations * BACKLOG.each).toLocaleString("en")} more that are due`,
      figure: ms(backlog),
    },
    {
      bench: "claims",
      what: `a lap over ${MANY.integrations.toLocaleString("en")} integrations for what became due by time`,
      figure: ms(manyLap),
      against: `${ms(fewLap)} over ${FEW.integrations}`,
    },
  ];
}

const waiting = ({ integrations, each }: typeof FEW): string =>
  `${(integrations * each).toLocaleString("en")} that wait in ${integrations.toLocaleString("en")} integrations`;

const LATER = "now() + interval '1 hour' + random() * interval '1 day'";

async function fill(
  { database }: World,
  prefix: string,
  { integrations, each }: typeof FEW,
  due = LATER,
): Promise<void> {
  await database.query(
    `insert into sync.subjects (integration_id, kind, id, due_at)
    select $1 || lpad(i::text, 5, '0'), 'item', 'item_' || n, ${due}
    from generate_series(1, $2::int) i, generate_series(1, $3::int) n`,
    [prefix, integrations, each],
  );
  await database.query("vacuum analyze sync.subjects");
}

/** One look after another at all integrations, as a worker takes them four times a second. */
async function lapMs({ database }: World): Promise<number> {
  const took: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const began = performance.now();
    for (let after = ""; ;) {
      ({ after } = await wake(database, after));
      if (after === "") break;
    }
    took.push(performance.now() - began);
  }
  return median(took);
}

const median = (took: readonly number[]): number => took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
