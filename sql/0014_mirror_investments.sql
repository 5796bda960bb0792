-- Investment transactions, recurring streams and real-time balances of items.

select tartan.protect_mirror();
