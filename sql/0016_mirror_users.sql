-- What Plaid has of users: income, Plaid Check reports; and asset reports and Link sessions.

select tartan.protect_mirror();
