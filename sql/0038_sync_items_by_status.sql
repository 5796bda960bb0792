-- Lists items in a status that few are in, in the order of the list of items, without reading those that are well. A subject that is ok has no
-- entry, so neither marks nor runs of it write any. It takes the place of the index of the unlinked ones.
create index subjects_of_items_by_status on sync.subjects (status, id, integration_id) where kind = 'item' and status <> 'ok';
drop index sync.subjects_never_linked;
