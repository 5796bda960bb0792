/**
 * The ids in the examples of the OpenAPI document and the reference page: all examples have one integration, one Item and one
 * destination. A test checks each example against its schema.
 */
export const INTEGRATION_ID = "svi_5q0w3kd2m8z1n7x4c6v9b2";
export const ITEM_ID = "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6";
export const USER_ID = "user-4711";
export const WEBHOOK_ID = "whk_0192f3a87c5b7e1f9a3d4c6b8e0f1a2b";
export const DESTINATION_ID = "dst_7hq2mv9xkc4tzr8bwn3ypl6s";
export const ROUTE_ID = "rte_3fd8kz1vqw6njm5xtb9cgr2h";
export const EVENT_ID = "evt_0192f3a87d4c7a1e8c5b2f9d6e3a7b10";
export const DELIVERY_ID = "dlv_0192f3a87d5170d29b6c4e8f1a2b3c4d";
export const LISTENER_ID = "lsn_2kd9wq7vx4mzt8rbn3cp5hl6";
export const JOB_ID = "job_9yt4bx7rlm2dsk6wpz1vhn8c";

/** The summary of a sync run. */
export const UPDATE_INFO = {
  outcome: "synced",
  total_transactions: 148,
  plaid_accounts: [{ account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", type: "depository", name: "Plaid Checking" }],
  institution_id: "ins_109508",
  counts: { transactions: { added: 3, modified: 1, removed: 1 } },
  pages: 1,
  duration_ms: 412,
};
