-- Indexes of the list of gaps. Webhooks of source RECONCILER are rare, so these cost Plaid's webhooks nothing.

create index webhooks_of_gaps on journal.webhooks (id) where source = 'RECONCILER';
create index webhooks_of_gaps_by_integration on journal.webhooks (integration_id, id) where source = 'RECONCILER';
