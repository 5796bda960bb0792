import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { TartanError } from "../../src/errors.ts";
import { openDatabase } from "../../src/database/pool.ts";
import { silentLogger as logger } from "../../src/logger.ts";
import { openIntake } from "../../src/journal/intake.ts";
import type { ArrivedWebhook } from "../../src/model/intake.ts";
import type { Accepted } from "../../src/model/webhook.ts";
import { signJwt, webhookBody } from "../support/plaid-signer.ts";
import { startWorld, type ReceiverAnswer } from "../support/world/index.ts";

const body = webhookBody();

describe("the way in", () => {
  test("an unknown integration is 404, and recorded without its name", async () => {
    await using world = await startWorld({ receiver: {} });
    const path = "/v1/integrations/svi_nobody";
    expect(await world.receiver.post(body, {}, path)).toMatchObject({
      status: 404,
      body: { error: { code: "not_found" } },
    });
    expect((await world.receiver.refusals())[0]).toMatchObject({ reason: "integration_unknown", integration_id: null });
  });

  test("a webhook is accepted with any valid content type and with none", async () => {
    await using world = await startWorld({ receiver: {} });
    for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/x.y", ""]) {
      const headers = {
        "Plaid-Verification": signJwt(world.receiver.key, body),
        ...(type && { "content-type": type }),
      };
      expect(await world.receiver.post(body, headers), type).toMatchObject({ status: 200 });
    }
    const { rows } = await world.database.query<{ body: Buffer }>("select body from journal.webhooks");
    for (const row of rows) expect(row.body).toEqual(body);
  });

  test("an invalid Content-Type is refused by its name", async () => {
    await using world = await startWorld({ receiver: {} });
    expect(await world.receiver.post(body, { "content-type": "x" })).toMatchObject({
      status: 415,
      body: { error: { code: "unsupported_media_type" } },
    });
  });

  test("a body that comes in chunks is one webhook", async () => {
    await using world = await startWorld({ receiver: {} });
    const { hostname, port } = new URL(world.receiver.url);
    const socket = connect(Number(port), hostname);
    const jwt = signJwt(world.receiver.key, body);
    socket.write(
      `POST ${world.receiver.path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nPlaid-Verification: ${jwt}\r\n\r\n`,
    );
    for (const byte of body) socket.write(Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]));
    socket.write("0\r\n\r\n");
    const answer = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
    socket.destroy();
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    expect(await world.receiver.webhooks()).toMatchObject([{ item_id: "item-1" }]);
  });

  test("only listed addresses may post as Plaid, and a backend may post from any address", async () => {
    await using world = await startWorld({ receiver: { allowedSources: ["plaid", "10.1.0.0/16"], trustProxy: true } });
    const from = (address: string) =>
      world.receiver.post(body, {
        "Plaid-Verification": signJwt(world.receiver.key, body),
        "X-Forwarded-For": address,
      });
    expect(await from("52.21.26.131")).toMatchObject({ status: 200 });
    expect(await from("::ffff:10.1.2.3")).toMatchObject({ status: 200 });
    expect(await from("10.2.0.1")).toMatchObject({ status: 403, body: { error: { code: "webhook_source_refused" } } });
    expect(await from("nonsense")).toMatchObject({ status: 403 });
    expect(await world.receiver.backend({ webhook_type: "ITEM", webhook_code: "UPDATED", item_id: "i" })).toMatchObject(
      {
        status: 200,
      },
    );
    expect((await world.receiver.refusals())[0]).toMatchObject({ reason: "webhook_source_refused" });
  });

  test("X-Forwarded-For is ignored without a trusted proxy", async () => {
    await using world = await startWorld({ receiver: { allowedSources: ["plaid"] } });
    const headers = { "Plaid-Verification": signJwt(world.receiver.key, body), "X-Forwarded-For": "52.21.26.131" };
    expect(await world.receiver.post(body, headers)).toMatchObject({ status: 403 });
  });

  test("a list of sources with invalid entries is refused before the server listens", async () => {
    for (const entry of ["plaidd", "1.2.3", "1.2.3.4/33", "1.2.3.4/x", "::1/129", "1.2.3.4/8/8"])
      await expect(startWorld({ receiver: { allowedSources: ["plaid", entry] } })).rejects.toMatchObject({
        code: "config_invalid",
      });
  });
});

describe("when it cannot be stored", () => {
  test("while Postgres is down the answer is 503 with Retry-After, and known secrets and keys are still used", async () => {
    let away = false;
    await using world = await startWorld({
      receiver: {
        intake: (database, vault) => {
          const real = openIntake({ database, vault, queueMax: 100, logger });
          const accept = real.accept.bind(real) as (arrival: ArrivedWebhook) => Promise<Accepted>;
          real.accept = ((arrival: ArrivedWebhook) =>
            away
              ? Promise.reject(new TartanError("database_unavailable", "away", { retryAfterSeconds: 5 }))
              : accept(arrival)) as typeof real.accept;
          return real;
        },
      },
    });
    await world.receiver.plaid(body);
    away = true;
    expect(await world.receiver.plaid(body)).toMatchObject({
      status: 503,
      retryAfter: "5",
      body: { error: { code: "database_unavailable" } },
    });
    away = false;
    expect(await world.receiver.plaid(body)).toMatchObject({ status: 200 });
  });

  test("when the queue is full the answer is 503 with Retry-After", async () => {
    await using world = await startWorld({
      receiver: {
        intake: (database, vault) => openIntake({ database, vault, queueMax: 1, logger }),
      },
    });
    await world.receiver.plaid(body);
    let answers: Promise<ReceiverAnswer>[] = [];
    await world.database.transaction(async (tx) => {
      await tx.query("lock table journal.webhooks in access exclusive mode");
      answers = Array.from({ length: 6 }, () => world.receiver.plaid(body));
      const first = await Promise.race(answers);
      expect(first).toMatchObject({ status: 503, retryAfter: "5", body: { error: { code: "overloaded" } } });
    });
    for (const { status } of await Promise.all(answers)) expect([200, 503]).toContain(status);
  });

  test("no webhook that a crash of Postgres lost was answered 200", async () => {
    await using world = await startWorld({ receiver: {} });
    await using other = await openDatabase({
      url: world.databaseUrl,
      poolSize: 2,
      applicationName: "killer",
      logger,
    });
    const answers = Array.from({ length: 200 }, (_, index) =>
      world.receiver.plaid(webhookBody({ item_id: `i${index}-${randomBytes(4).toString("hex")}` })),
    );
    for (let turn = 0; turn < 5; turn += 1)
      await other.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query like '%incoming%' and pid <> pg_backend_pid()",
      );
    const acknowledged = (await Promise.all(answers))
      .filter(({ status }) => status === 200)
      .map((answer) => answer.body.webhook_id);
    const stored = new Set((await world.receiver.webhooks()).map(({ id }) => id));
    for (const id of acknowledged) expect(stored.has(String(id))).toBe(true);
  });
});
