/** What the peers of the bench `increments` have in common. */

export interface Item {
  item_id: string;
  access_token: string;
}

/** Where Plaid is, and what it is asked with. */
export interface Plaid {
  url: string;
  clientId: string;
  secret: string;
}

export interface Increments extends AsyncDisposable {
  /** syncs every item once */
  round(): Promise<void>;
}
