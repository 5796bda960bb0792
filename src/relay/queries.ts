/** The statement of relay.ts. */

/** Counts the rows that wait for dispatch, and the deliveries that are due at destinations to which Tartan may send now. */
export const BUSY = `
select (select count(*) from events.outbox where position is null)::int as undispatched,
  (select count(*) from relay.deliveries r join relay.destinations d on d.id = r.destination_id
    join relay.health h on h.destination_id = d.id
    where r.status = 'scheduled' and r.due_at <= now() and d.paused_at is null and d.disabled_at is null
      and d.deleted_at is null and coalesce(h.hold_until <= now(), true))::int as due`;
