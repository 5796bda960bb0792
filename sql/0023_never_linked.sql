-- Lists items of which webhooks came and no token did, in the order of the list of items.
create index subjects_never_linked on sync.subjects (id, integration_id) where kind = 'item' and status = 'unlinked';
