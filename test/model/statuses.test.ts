/** The words for states against the checks of the tables that hold them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ENVIRONMENTS } from "../../src/model/integration.ts";
import {
  BREAKER_STATES,
  DELIVERY_FILTER_STATUSES,
  DELIVERY_STATUSES,
  ITEM_STATUSES,
  FLEET_KINDS,
  JOB_KINDS,
  JOB_STATUSES,
  MEMBER_PHASES,
  PUBLIC_TOKEN_REASONS,
  PUBLIC_TOKEN_STATUSES,
  NOTICE_KINDS,
  REPAIRS,
  STORED_DELIVERY_STATUSES,
} from "../../src/model/statuses.ts";
import { SOURCES } from "../../src/model/webhook.ts";
import { FORMS, ORDERINGS } from "../../src/relay/model/types.ts";
import { SIGNING_SCHEMES } from "../../src/relay/senders/signing.ts";
import { testDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db[Symbol.asyncDispose]());

test.for<[string, string, readonly string[]]>([
  ["tartan.integrations", "environment", ENVIRONMENTS],
  ["journal.webhooks", "source", SOURCES],
  ["sync.subjects", "status", ITEM_STATUSES],
  ["linking.public_tokens", "status", PUBLIC_TOKEN_STATUSES],
  ["linking.public_tokens", "reason", PUBLIC_TOKEN_REASONS],
  ["sync.notices", "kind", NOTICE_KINDS],
  ["sync.repairs", "repaired_by", REPAIRS],
  ["relay.destinations", "ordering", ORDERINGS],
  ["relay.signing_keys", "scheme", SIGNING_SCHEMES],
  ["relay.deliveries", "form", FORMS],
  ["relay.deliveries", "status", STORED_DELIVERY_STATUSES],
  ["relay.health", "breaker", BREAKER_STATES],
  ["relay.jobs", "kind", JOB_KINDS],
  ["relay.jobs", "status", JOB_STATUSES],
  ["fleet.jobs", "kind", FLEET_KINDS],
  ["fleet.jobs", "status", JOB_STATUSES],
  ["fleet.members", "phase", MEMBER_PHASES],
])("%s.%s admits the declared words and no other", async ([table, column, words]) => {
  const { rows } = await db.database.query<{ check: string }>(
    `select pg_get_constraintdef(c.oid) as check from pg_constraint c
     join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
     where c.contype = 'c' and c.conrelid = $1::regclass and a.attname = $2`,
    [table, column],
  );
  const admitted = [...(rows[0]?.check ?? "").matchAll(/'([^']*)'::text/g)].map(([, word]) => word);
  expect(admitted.toSorted()).toEqual([...words].toSorted());
});

test("a delivery is shown with its stored status, or as held", () => {
  expect(DELIVERY_STATUSES.filter((status) => status !== "held")).toEqual(STORED_DELIVERY_STATUSES);
  expect(DELIVERY_FILTER_STATUSES).toEqual([...DELIVERY_STATUSES, "undelivered"]);
});
