-- The key of accepted tokens begins with the time of signing, so that new tokens come to the end of the index. With the hash in front, each came
-- to a random page: after a checkpoint its WAL held nearly a page for each token, and the index of three days had to stay in memory.
--
-- This rebuilds the index of the last days' tokens and lets no webhook be accepted meanwhile: Plaid sends them again.
alter table journal.accepted_tokens drop constraint accepted_tokens_pkey, add primary key (signed_at, token_sha256);
