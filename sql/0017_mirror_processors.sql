-- Accounts that a processor reads with a processor token.

select tartan.protect_mirror();
