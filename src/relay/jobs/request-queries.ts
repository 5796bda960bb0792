/** The statements of requests that carry an idempotency key. */
import { statement } from "../model/statement.ts";

const KEPT = "interval '24 hours'";

/** Makes room for the key $1 where the request that used it is no longer kept. */
export const EXPIRE_REQUEST = statement(
  "expire_request",
  `delete from relay.requests where key_sha256 = $1 and created_at < now() - ${KEPT}`,
);

/**
 * Claims the key $1 for the request $2. Yields a row unless the key is claimed; where another transaction is claiming it, this
 * waits for that one to end.
 */
export const CLAIM_REQUEST = statement(
  "claim_request",
  "insert into relay.requests (key_sha256, request_sha256) values ($1, $2) on conflict do nothing returning created_at",
);

export const ANSWER_REQUEST = statement(
  "answer_request",
  "update relay.requests set status = $2, answer = $3::json where key_sha256 = $1",
);

export const GET_REQUEST = statement(
  "get_request",
  `select request_sha256 as "requestSha256", status, answer from relay.requests where key_sha256 = $1`,
);

export const FORGET_REQUESTS = `delete from relay.requests where created_at < now() - ${KEPT}`;
