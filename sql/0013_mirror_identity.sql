-- Account numbers, owners of accounts and statements of items.

select tartan.protect_mirror();
