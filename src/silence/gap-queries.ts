/** The statements of the list of gaps. Values are always bound. */
import type { Statement } from "../database/types.ts";

/** A larger body is no gap's: it is not read, and the gap is listed without what it says. */
const BODY_BYTES_MAX = 64 * 1024;

interface Shape {
  /** which of these filters are given, in this order */
  integration: boolean;
  item: boolean;
  paged: boolean;
}

/**
 * A page of gaps, newest first. Values: the integration and the item where given, the cursor's id where paged, the number of rows. An
 * index serves each shape: by item, by integration, or of all gaps.
 */
export function listGapsQuery({ integration, item, paged }: Shape): Statement {
  let values = 0;
  const next = (): string => `$${(values += 1)}`;
  const conditions = [
    "w.source = 'RECONCILER'",
    ...(integration ? [`w.integration_id = ${next()}`] : []),
    ...(item ? [`w.item_id = ${next()}`] : []),
    ...(paged ? [`w.id < ${next()}`] : []),
  ];
  const shape = [integration && "integration", item && "item", paged && "paged"].filter(Boolean).join("_");
  return {
    name: `silence_list_gaps_${shape}`,
    text: `
select w.id, w.integration_id, w.item_id, w.user_id, w.subject_kind, w.subject_id, w.webhook_type, w.webhook_code, w.received_at,
  case when octet_length(w.body) <= ${BODY_BYTES_MAX} then w.body end as body, w.processed_at, w.update_info,
  (select d.sent_at from silence.plaid_deliveries d where d.webhook_id = w.id) as sent_at
from journal.webhooks w where ${conditions.join(" and ")} order by w.id desc limit ${next()}`,
  };
}
