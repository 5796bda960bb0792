/** Destinations: what is kept, what is refused, what is never shown, and how they are a destination that is held and released. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { deleteDestination } from "../../../src/relay/delete-destination.ts";
import {
  disableDestination,
  enableDestination,
  getDestination,
  listDestinations,
  listSigningKeys,
  loadDestinations,
  pauseDestination,
  resumeDestination,
  rotateSigningKey,
  updateDestination,
  type NewDestination,
} from "../../../src/relay/destinations/destinations.ts";
import { createRoute } from "../../../src/relay/routing/routes.ts";
import { openSigner } from "../../../src/relay/senders/signing.ts";
import { AUTHORITY as CA } from "../certificates.ts";
import { PLACE, startWorld, type World } from "../../support/world/index.ts";
import { STRICT, plantDeliveries as deliveries } from "../support.ts";

const SECRET = "Bearer 4d1f-very-secret";

test("a new destination has the defaults, is active, and shows its secret once", async () => {
  await using world = await startWorld(STRICT);
  const { signing_secret, ...made } = await world.destinations.create();
  expect(made).toMatchObject({
    id: expect.stringMatching(/^dst_[a-z0-9]{24}$/),
    name: "",
    description: "",
    url: PLACE,
    header_names: [],
    has_ca: false,
    timeout_ms: 15_000,
    schedule: [5, 300, 1800, 7200, 18_000, 36_000, 36_000],
    rate_limit: null,
    concurrency: 8,
    ordering: "parallel",
    disable_after_s: 432_000,
    status: "active",
    disabled_reason: null,
    breaker: "closed",
    hold_until: null,
    failures: 0,
    failing_since: null,
    last_success_at: null,
    last_failure_at: null,
    last_error: null,
    scheduled: 0,
    oldest_due_at: null,
    dead: 0,
    keys: [{ id: expect.stringMatching(/^sgk_/), scheme: "v1", public_key: null, expires_at: null }],
    version: 1,
    created_at: expect.stringMatching(/Z$/),
  });
  expect(signing_secret).toMatch(/^whsec_/);
  expect(await getDestination(world.database, made.id)).toEqual(made);
  expect(await listDestinations(world.database)).toEqual([made]);
});

test("all settings are stored, and a delivery worker gets the secrets unsealed", async () => {
  await using world = await startWorld(STRICT);
  const given: NewDestination = {
    url: "https://example.com:8443/a?b=c",
    name: "Ledger",
    description: "the ledger's intake",
    headers: { Authorization: SECRET, "X-Team": "" },
    ca: CA,
    timeout_ms: 30_000,
    schedule: [1, 2, 604_800],
    rate_limit: { count: 5, window_ms: 60_000 },
    concurrency: 256,
    ordering: "per_item",
    disable_after_s: 3600,
    signing_scheme: "v1a",
  };
  const made = await world.destinations.create(given);
  const { headers: _headers, ca: _ca, signing_scheme: _scheme, ...shown } = given;
  expect(made).toMatchObject({ ...shown, header_names: ["authorization", "x-team"], has_ca: true });
  expect(made.keys).toMatchObject([{ scheme: "v1a", public_key: openSigner("v1a", made.signing_secret).publicKey }]);
  expect(await loadDestinations(world.database, world.vault, [made.id])).toEqual([
    {
      id: made.id,
      version: 1,
      url: given.url,
      headers: { authorization: SECRET, "x-team": "" },
      ca: CA,
      timeoutMs: 30_000,
      schedule: [1, 2, 604_800],
      rate: { limit: 5, windowMs: 60_000 },
      concurrency: 256,
      ordering: "per_item",
      disableAfterS: 3600,
      paused: false,
      disabled: false,
      keys: [{ scheme: "v1a", secret: made.signing_secret, expiresAt: null }],
    },
  ]);
});

test("header values and signing secrets are nowhere in the database, and nothing shows them", async () => {
  await using world = await startWorld(STRICT);
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const made = await world.destinations.create({ headers: { Authorization: SECRET }, signing_secret: secret });
  expect(made.signing_secret).toBe(secret);
  const { rows } = await world.database.query<{ all: string }>(
    `select concat((select json_agg(d) from relay.destinations d), (select json_agg(k) from relay.signing_keys k)) as all`,
  );
  const stored = `${rows[0]?.all} ${Buffer.from((rows[0]?.all ?? "").replaceAll(/[^0-9a-f]/g, ""), "hex").toString("latin1")}`;
  const shown = JSON.stringify([
    await getDestination(world.database, made.id),
    await listSigningKeys(world.database, made.id),
  ]);
  for (const text of [stored, shown]) {
    expect(text).not.toContain("very-secret");
    expect(text).not.toContain(secret.slice(6));
  }
});

test("a change sets the given settings and increments the version", async () => {
  await using world = await startWorld(STRICT);
  const { signing_secret, ...made } = await world.destinations.create({
    headers: { "x-a": "1", "x-b": "2" },
    rate_limit: { count: 5 },
    ca: CA,
  });
  expect(made.rate_limit).toEqual({ count: 5, window_ms: 1000 });
  const changed = await updateDestination(world.destinations, made.id, {
    name: "new",
    rate_limit: null,
    headers: { "X-C": "3" },
  });
  expect(changed).toEqual({
    ...made,
    name: "new",
    rate_limit: null,
    header_names: ["x-c"],
    version: 2,
    updated_at: changed.updated_at,
  });
  const [open] = await loadDestinations(world.database, world.vault, null);
  expect(open).toMatchObject({ headers: { "x-c": "3" }, rate: null, ca: CA, keys: [{ secret: signing_secret }] });
  const bare = await updateDestination(world.destinations, made.id, { headers: {}, ca: null });
  expect(bare).toMatchObject({ header_names: [], has_ca: false, version: 3 });
  expect(await updateDestination(world.destinations, made.id, {})).toEqual(bare);
});

test("every change notifies the delivery workers", async () => {
  await using world = await startWorld(STRICT);
  let notified = 0;
  await using _listening = await world.database.listen("tartan_relay", () => (notified += 1));
  const { id } = await world.destinations.create();
  const steps = [
    () => updateDestination(world.destinations, id, { name: "new" }),
    () => pauseDestination(world.database, id),
    () => resumeDestination(world.database, id),
    () => disableDestination(world.database, id),
    () => enableDestination(world.database, id),
    () => rotateSigningKey(world.destinations, id),
    () => createRoute(world.database, { destination_id: id }),
    () => deleteDestination(world.database, id),
  ];
  await expect.poll(() => notified).toBe(1);
  for (const [index, step] of steps.entries()) {
    await step();
    await expect.poll(() => notified).toBe(index + 2);
  }
});

const plant = (world: World<"destinations">, id: string, columns: string): Promise<unknown> =>
  world.database.query(`update relay.health set ${columns} where destination_id = $1`, [id]);

describe("held and let go", () => {
  test("a destination can be paused, disabled, resumed and enabled, and repeating one of these changes nothing", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    expect(await pauseDestination(world.database, id)).toMatchObject({ status: "paused", version: 2 });
    expect(await pauseDestination(world.database, id)).toMatchObject({ status: "paused", version: 2 });
    expect(await disableDestination(world.database, id)).toMatchObject({
      status: "disabled",
      disabled_reason: "by_hand",
    });
    expect(await loadDestinations(world.database, world.vault, [id])).toMatchObject([{ paused: true, disabled: true }]);
    expect(await enableDestination(world.database, id)).toMatchObject({ status: "paused", disabled_reason: null });
    expect(await resumeDestination(world.database, id)).toMatchObject({ status: "active", version: 5 });
    expect(await resumeDestination(world.database, id)).toMatchObject({ status: "active", version: 5 });
  });

  test("the time during which a destination was held does not count as time of failures", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    for (const [hold, release] of [
      [pauseDestination, resumeDestination],
      [disableDestination, enableDestination],
    ] as const) {
      await hold(world.database, id);
      await plant(
        world,
        id,
        `failing_since = now() - interval '4 days', failures = 40, warned = 70, breaker = 'open', openings = 5,
         hold_until = now() + interval '1 hour', worker = gen_random_uuid(), epoch = 7, last_error = 'timeout'`,
      );
      expect(await release(world.database, id)).toMatchObject({
        failing_since: null,
        failures: 0,
        breaker: "closed",
        hold_until: null,
        last_error: "timeout",
      });
      const { rows } = await world.database.query("select epoch, warned, openings from relay.health");
      expect(rows).toEqual([{ epoch: 7, warned: 0, openings: 0 }]);
    }
  });

  test("enabling releases a destination that is held after failures, and does nothing to a healthy one", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    await plant(world, id, "breaker = 'open', openings = 2, failures = 9, hold_until = now() + interval '1 hour'");
    const healthy = { status: "active", breaker: "closed", hold_until: null, failures: 0, version: 2 };
    expect(await enableDestination(world.database, id)).toMatchObject(healthy);
    expect(await enableDestination(world.database, id)).toMatchObject(healthy);
  });

  test("a healthy destination stays with its worker when it is paused and resumed", async () => {
    await using world = await startWorld(STRICT);
    const { id } = await world.destinations.create();
    const worker = "01935c1e-0000-7000-8000-00000000abcd";
    await plant(world, id, `worker = '${worker}', epoch = 7`);
    await pauseDestination(world.database, id);
    await resumeDestination(world.database, id);
    const { rows } = await world.database.query("select worker, epoch from relay.health");
    expect(rows).toEqual([{ worker, epoch: 7 }]);
  });
});

test("scheduled and dead deliveries are counted with and without an ordering key", async () => {
  await using world = await startWorld(STRICT);
  const { id } = await world.destinations.create();
  const { id: other } = await world.destinations.create();
  await deliveries(world, id, 3);
  await deliveries(world, id, 2, "'scheduled', '2026-01-01', 'item-1'");
  await deliveries(world, id, 4, "'dead', null, null");
  await deliveries(world, id, 5, "'delivered', null, null");
  expect(await getDestination(world.database, id)).toMatchObject({
    scheduled: 5,
    dead: 4,
    oldest_due_at: "2026-01-01T00:00:00.000Z",
  });
  expect(await getDestination(world.database, other)).toMatchObject({ scheduled: 0, dead: 0, oldest_due_at: null });
});
