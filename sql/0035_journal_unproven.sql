-- Quarantine: webhooks whose verification key could not be fetched when they came. Nothing acts on them. When the key can be had, each
-- moves to journal.webhooks or becomes a refusal, in one transaction with its removal from here.

create table journal.unproven (
  id             uuid primary key,                     -- of receipt; the webhook keeps it when it is proven
  integration_id text not null,
  key_id         text not null,                        -- kid that its JWT claims
  token_sha256   bytea not null unique,
  claimed_at     timestamptz not null,                 -- iat that its JWT claims
  received_at    timestamptz not null,
  body           bytea not null,                       -- exactly the bytes that arrived
  verification   text not null,                        -- the Plaid-Verification header as it came
  remote_address text,
  vouched        boolean not null,                     -- proven webhooks had come from this address recently
  claimed_item_id text,                                -- what its body says; so that erasure reaches it
  claimed_type   text,
  claimed_code   text,
  claimed_subject_kind text,
  claimed_subject_id   text
);
create index unproven_by_key on journal.unproven (integration_id, key_id, id);
create index unproven_by_item on journal.unproven (integration_id, claimed_item_id) where claimed_item_id is not null;
create index unproven_by_subject on journal.unproven (integration_id, claimed_subject_kind, claimed_subject_id)
  where claimed_subject_id is not null;
create index unproven_by_time on journal.unproven (integration_id, received_at);

-- One row for each integration that ever had unproven webhooks. Whoever adds or removes some locks it first, so that bounds hold,
-- counts are right, and a key's webhooks are proven in their order.
create table journal.quarantines (
  integration_id text primary key
);

-- How much waits for each key, from senders that are vouched for and from others. A trigger counts.
create table journal.unproven_keys (
  integration_id text not null,
  key_id         text not null,
  vouched        boolean not null,
  webhooks       integer not null,
  bytes          bigint not null,                      -- of bodies and JWTs
  asked_at       timestamptz,                          -- when a prover last took up the key
  failure        text,                                 -- why the key could not be had then
  primary key (integration_id, key_id, vouched)
);

create function journal.count_unproven() returns trigger
language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into journal.unproven_keys as k (integration_id, key_id, vouched, webhooks, bytes)
    select integration_id, key_id, vouched, count(*), sum(octet_length(body) + octet_length(verification))
    from changed group by 1, 2, 3 order by 1, 2, 3
    on conflict (integration_id, key_id, vouched) do update
      set webhooks = k.webhooks + excluded.webhooks, bytes = k.bytes + excluded.bytes;
  else
    update journal.unproven_keys k set webhooks = k.webhooks - gone.webhooks, bytes = k.bytes - gone.bytes
    from (
      select integration_id, key_id, vouched, count(*) as webhooks, sum(octet_length(body) + octet_length(verification)) as bytes
      from changed group by 1, 2, 3
    ) gone
    where (k.integration_id, k.key_id, k.vouched) = (gone.integration_id, gone.key_id, gone.vouched);
    delete from journal.unproven_keys k
    where webhooks <= 0 and (integration_id, key_id) in (select distinct integration_id, key_id from changed);
  end if;
  return null;
end
$$;

create trigger count_added after insert on journal.unproven
  referencing new table as changed for each statement execute function journal.count_unproven();
create trigger count_removed after delete on journal.unproven
  referencing old table as changed for each statement execute function journal.count_unproven();
