-- What belongs to no item: transfers, payments, wallets, identity verifications and screenings.

select tartan.protect_mirror();
