/** The port to which the receiver hands what is posted to a listener's URL. */

export interface ListenerPost {
  /** as the path names it */
  listenerId: string;
  /** the Authorization header */
  authorization: string | undefined;
  body: Buffer;
}

/** What came of the logins of one request. */
export interface TakenLogins {
  /** users who logged in; several logins of a user count once */
  logins: number;
  /** log events that are no logins, or name no user */
  ignored: number;
  /** users who have no linked item */
  unknown_users: number;
  /** webhooks that were stored, one for each item that needed one */
  webhooks: number;
  /** items that needed none: a login or a sync had touched them shortly before, or since the login */
  fresh: number;
}

export interface Logins {
  /**
   * Resolves once a webhook is durable for each item that needs one.
   * @throws TartanError `not_found`, `listener_token_missing`, `listener_token_mismatch`, `login_malformed`; `overloaded` or
   *   `database_unavailable` with `retryAfterSeconds`: the sender must send the request again
   */
  take(post: ListenerPost): Promise<TakenLogins>;
}
