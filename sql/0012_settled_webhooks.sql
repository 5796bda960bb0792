-- Webhooks that need no sync run are processed as they are stored. Those that were stored before are processed now: one
-- without a subject was never read by a run, and would have waited for ever.
update journal.webhooks set processed_at = now(), update_info = '{"outcome": "no_resource"}'
where processed_at is null and subject_kind is null;

-- Webhooks of items that were unlinked while they waited: one more run settles them.
update sync.subjects set due_at = now() where status = 'unlinked' and due_at is null and oldest_unserved is not null;

-- What was made of webhooks that hold tokens is made anew when it is sent again, without the tokens.
update relay.deliveries d set body = null, body_sha256 = null
from journal.webhooks w
where w.id = d.event_id and w.webhook_type in ('LINK', 'LAYER') and d.event_type = 'webhook.received' and d.form <> 'original'
  and d.body is not null;
