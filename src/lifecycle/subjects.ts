/** Erases a subject that belongs to no item, in one transaction, in which every owner of tables deletes its part. */
import { audit } from "../audit/audit.ts";
import type { Database } from "../database/types.ts";
import { recordEvents, type NewEvent } from "../events/events.ts";
import * as events from "../events/forget.ts";
import * as integrations from "../integrations/subjects.ts";
import * as journal from "../journal/forget.ts";
import * as mirror from "../mirror/forget.ts";
import { BY_TARTAN, type Change } from "../model/change.ts";
import type { Subject } from "../model/webhook.ts";
import * as relay from "../relay/forget.ts";
import * as silence from "../silence/forget.ts";
import * as sync from "../sync/forget.ts";
import { getSubject } from "../sync/subjects.ts";

/** All that remains of an erased subject, so that copies of its rows can follow. */
const erased = (integrationId: string, subject: Subject): NewEvent => ({
  integrationId,
  itemId: null,
  subject,
  userId: null,
  environment: null,
  type: "subject.erased",
  data: { reason: "erased" },
});

/**
 * Deletes everything about the subject: token, mirrored rows, webhooks, runs, events and their deliveries. All or nothing. Only the
 * event about it remains, with its id, and the row of the audit log. It
 * becomes known again when a webhook or a row of another subject names it later, or when a marker is reading an arrival of it now.
 * @throws TartanError `not_found`
 */
export async function eraseSubject(
  database: Database,
  integrationId: string,
  subject: Subject,
  by: Change = BY_TARTAN,
): Promise<void> {
  await database.transaction(async (tx) => {
    await getSubject(tx, { ...subject, integration_id: integrationId });
    // Before the first row is locked, since this may take long.
    await relay.awaitUnderWay(tx);
    await silence.forgetSubject(tx, integrationId, subject);
    await sync.forgetSubject(tx, integrationId, subject);
    await mirror.forgetSubject(tx, integrationId, subject);
    await integrations.forgetSubject(tx, integrationId, subject);
    await relay.forgetSubject(tx, integrationId, subject);
    await events.forgetSubject(tx, integrationId, subject);
    await journal.forgetSubject(tx, integrationId, subject);
    await audit(tx, by, {
      action: "subject.erased",
      integrationId,
      target: subject.id,
      details: { kind: subject.kind },
    });
    await recordEvents(tx, [erased(integrationId, subject)]);
  }, "long");
}
