/** The statements of test deliveries. They are never scheduled, so no worker sends them. */
import { statement } from "../model/statement.ts";

/** Inserts test delivery $1 of event $2 to destination $3 with body $4 before it is sent, so that a crash leaves it as interrupted. */
export const BEGIN_TEST = statement(
  "begin_test",
  `
insert into relay.deliveries (id, event_id, destination_id, event_type, route_id, route_version, form, status, body, body_sha256,
  cause, finished_at)
values ($1, $2, $3, 'destination.test', 'test', 0, 'event', 'cancelled', $4, sha256($4), 'interrupted', now())`,
);

/** Records the result of test delivery $1: $2 cause or null, $3 status, $4 duration, $5 url, $6 address, $7 headers, $8 head of the answer. */
export const END_TEST = statement(
  "end_test",
  `
with ended as (
  update relay.deliveries set status = case when $2::text is null then 'delivered' else 'cancelled' end, cause = $2,
    last_status = $3, attempts = 1, finished_at = now()
  where id = $1 returning id
)
insert into relay.attempts (delivery_id, number, started_at, duration_ms, url, address, status, error, response_headers, response_head)
select id, 1, now() - $4 * interval '1 ms', $4, $5, $6, $3, $2, $7::jsonb, $8 from ended`,
);
