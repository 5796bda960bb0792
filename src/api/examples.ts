/**
 * The examples of the OpenAPI document and the reference page: one integration, one Item, one webhook, told through all
 * of them. A test holds each against the shape it illustrates.
 */
const INTEGRATION_ID = "svi_5q0w3kd2m8z1n7x4c6v9b2";
const ITEM_ID = "eVBnVMp7zdTJLkRNr33Rs6zr7KNJqBFL9DrE6";
const WEBHOOK_ID = "whk_0192f3a87c5b7e1f9a3d4c6b8e0f1a2b";
const WEBHOOK_SECRET = "whs_example-keep-it-beside-your-other-secrets";

const updateInfo = {
  outcome: "synced",
  total_transactions: 148,
  plaid_accounts: [{ account_id: "BxBXxLj1m4HMXBm9WZZmCWVbPjX16EHwv99vp", type: "depository", name: "Plaid Checking" }],
  institution_id: "ins_109508",
  counts: { transactions: { added: 3, modified: 1, removed: 1 } },
  pages: 1,
  duration_ms: 412,
};

const integration = {
  id: INTEGRATION_ID,
  service: "plaid_item_v1",
  name: "production, North America",
  environment: "production" as const,
  plaid_url: "https://production.plaid.com",
  client_id: "57c4acc20259bd7b1d88052e",
  country_codes: ["US", "CA"],
  days_requested: 730,
  include_original_description: false,
  url: `https://tartan.example.com/v1/integrations/${INTEGRATION_ID}`,
  created_at: "2026-11-02T09:14:00.000Z",
  updated_at: "2026-11-02T09:14:00.000Z",
};

export const EXAMPLES = {
  failure: {
    error: {
      code: "invalid_request",
      message: "The request is not usable: limit must be at most 500.",
      fields: { limit: "must be at most 500" },
    },
  },

  integration,
  integrationCreated: { ...integration, webhook_secret: WEBHOOK_SECRET, credentials_checked: true },
  integrationChanged: { ...integration, name: "production, US and Canada", credentials_checked: true },
  secretRotated: { id: INTEGRATION_ID, webhook_secret: WEBHOOK_SECRET },
  integrationDeleted: { id: INTEGRATION_ID, deleted: true as const, purged: false },
  newIntegration: {
    client_id: integration.client_id,
    secret: "your-plaid-secret",
    environment: "production" as const,
    name: integration.name,
    country_codes: integration.country_codes,
    days_requested: integration.days_requested,
  },
  integrationPatch: { name: "production, US and Canada", secret: "your-new-plaid-secret" },
  secretRotation: { webhook_secret: WEBHOOK_SECRET },

  item: {
    item_id: ITEM_ID,
    integration_id: INTEGRATION_ID,
    user_id: "user-4711",
    institution_id: "ins_109508",
    institution_name: "First Platypus Bank",
    status: "ok" as const,
    error_code: null,
    error_message: null,
    next_step: null,
    products: ["transactions"],
    linked_at: "2026-11-02T09:20:11.042Z",
    verified_at: "2026-11-20T17:03:29.500Z",
    due: false,
    last_error: null,
    checked_at: "2026-11-20T21:02:10.300Z",
    next_check_at: "2026-11-21T21:02:10.300Z",
    webhook_url: `https://tartan.example.com/v1/integrations/${INTEGRATION_ID}`,
    webhook_url_is_intake: true,
    accounts: 2,
    transactions: 148,
    resources: [
      { resource: "items", verified_at: "2026-11-20T17:03:29.500Z", rows: 1, absent: null },
      { resource: "accounts", verified_at: "2026-11-20T19:40:02.118Z", rows: 2, absent: null },
      { resource: "transactions", verified_at: "2026-11-20T19:40:02.118Z", rows: 148, absent: null },
    ],
    unfit_values: [],
  },
  newItem: {
    integration_id: INTEGRATION_ID,
    item_id: ITEM_ID,
    access_token: "access-production-de3ce8ef-33f8-452c-a685-8671031fc0f6",
    user_id: "user-4711",
  },
  itemIntroduced: { item_id: ITEM_ID, integration_id: INTEGRATION_ID, webhook_id: WEBHOOK_ID, created: true },
  syncRequest: { resources: ["transactions"], full: true },
  syncRequested: { item_id: ITEM_ID, due: true as const },
  itemDeleted: { item_id: ITEM_ID, deleted: true as const, erased: false, removed_at_plaid: true },
  run: {
    id: "0192f3a8-7d01-7c3e-8b2a-5f4e6d7c8b9a",
    item_id: ITEM_ID,
    integration_id: INTEGRATION_ID,
    started_at: "2026-11-20T17:03:29.088Z",
    finished_at: "2026-11-20T17:03:29.500Z",
    outcome: "synced",
    error: null,
    webhooks: 2,
    update_info: updateInfo,
  },

  webhook: {
    id: WEBHOOK_ID,
    integration_id: INTEGRATION_ID,
    source: "PLAID" as const,
    item_id: ITEM_ID,
    user_id: "user-4711",
    webhook_type: "TRANSACTIONS",
    webhook_code: "SYNC_UPDATES_AVAILABLE",
    environment: "production",
    received_at: "2026-11-20T17:03:29.051Z",
    webhook: {
      environment: "production",
      historical_update_complete: true,
      initial_update_complete: true,
      item_id: ITEM_ID,
      webhook_code: "SYNC_UPDATES_AVAILABLE",
      webhook_type: "TRANSACTIONS",
    },
    tokens_cut: false,
    verification: {
      key_id: "bfbd5111-8e33-4643-8ced-b2e642a72f3c",
      signed_at: "2026-11-20T17:03:28.000Z",
      body_sha256: "b7d9c5c9cf7a4b3f1f6f0d3f1f7d2f57a8a3a4a9d2c1e0b6a5948372615f4e3d",
    },
    processed_at: "2026-11-20T17:03:29.500Z",
    update_info: updateInfo,
  },
  refusal: {
    refused_at: "2026-11-20T16:58:12.337Z",
    integration_id: INTEGRATION_ID,
    reason: "webhook_secret_mismatch",
    detail: "The webhook secret is not this integration's.",
    remote_address: "203.0.113.7",
    body_bytes: 214,
    count: 12,
  },

  status: {
    version: "0.1.0",
    node: "v20.20.2",
    schema_version: 8,
    warnings: [],
    roles: ["receiver", "sync", "relay", "api"],
    uptime_seconds: 86_400,
    queue: { unmarked: 0, due: 3, running: 8, oldest_due_seconds: 0.4, subjects: { ok: 1284, needs_user: 17, retrying: 2 } },
    relay: {
      undispatched: 0,
      oldest_undispatched_seconds: 0,
      scheduled: 12,
      held: 0,
      dead: 3,
      overdue: { outbox: 0, deliveries: 0, oldest_at: null },
      destinations: { active: 2, paused: 0, disabled: 0, open: 0 },
      unwell: [],
    },
    journal: { kept_weeks: [], clock_skew_seconds: 0, suspended: null },
    processes: [
      {
        id: "0b6c1f0e-5f0a-4c55-9a39-6d1f6f3f0a11",
        host: "tartan-1",
        pid: 1,
        version: "0.1.0",
        roles: ["receiver", "sync", "relay", "api"],
        url: "http://127.0.0.1:4400",
        started_at: "2026-03-01T08:00:00.000Z",
      },
    ],
  },
};
