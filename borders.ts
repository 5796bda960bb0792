/**
 * The borders of the tree: one row for each folder of src/, lowest first. `npm run check:borders` holds them.
 *
 * - A folder imports the folders of its row, which all stand above it here, and the files of src/ itself.
 * - A folder reads the tables, and calls the SQL functions, of the folders that it may import.
 * - Only its owner writes a table. Other folders call a function of the owner inside their transaction.
 * - A file `sql/0007_relay.sql` or `sql/0012_relay_notes.sql` belongs to the folder relay/, with any content.
 *
 * A row may be for a folder in a folder (`relay/dispatch`). Then every folder beside it has a row too; what the outer folder owns
 * belongs to all of them. Naming the outer folder allows all folders in it.
 */
import type { Exception, Row } from "./scripts/borders/table.ts";

// oxfmt-ignore
export const FOLDERS: readonly Row[] = [
  // folder          may import                                            owns: only this folder writes these tables
  ["model",         "",                                                   ""],
  ["database",      "model",                                              "tartan_meta.* tartan_locks.* tartan.processes tartan.readiness"],
  ["embedded",      "database",                                           ""],
  ["plaid",         "model database",                                     "tartan.verification_keys tartan.plaid_calls"],
  ["resources",     "",                                                   ""],
  ["audit",         "model database",                                     "tartan.audit_log"],
  ["integrations",  "model database plaid resources audit",                   "tartan.integrations tartan.reveals tartan.items tartan.registered_subjects tartan.token_rotations tartan.revocations tartan.api_keys tartan.sealing_key tartan.check_pace"],
  ["events",        "model database integrations resources",              "events.*"],
  ["journal",       "model database plaid/webhooks.ts integrations events",                 "journal.*"],
  ["spool",         "model embedded/file-lock.ts",                        ""],
  ["quarantine",    "model database plaid events journal",                ""],
  ["receiver",      "model plaid/addresses.ts plaid/verify.ts plaid/signatures.ts plaid/proven-webhook.ts plaid/webhooks.ts", ""],
  ["mirror",        "model database resources integrations",              "plaid.* mirror.* tartan.readers"],
  ["sync",          "model database plaid integrations events journal resources mirror", "sync.* plaid.freshness plaid.item_notices"],
  ["linking",       "model database audit plaid integrations events journal resources sync", "linking.*"],
  ["fleet",         "model database audit plaid integrations events journal resources mirror sync", "fleet.*"],
  ["listeners",     "model database audit integrations events journal sync", "listeners.*"],
  ["silence",       "model database audit plaid integrations events journal resources mirror sync", "silence.*"],
  // relay/: deliveries flow from routing/ over dispatch/ (or jobs/) and delivery/ to ledger/. A folder imports earlier ones only.
  ["relay/model",   "database",                                           ""],
  ["relay/content", "model database events journal relay/model",          ""],
  ["relay/senders", "relay/model",                                        ""],
  ["relay/destinations", "model database events journal integrations relay/model relay/senders", "relay.destinations relay.signing_keys"],
  ["relay/routing", "model database events journal relay/model relay/content relay/destinations", "relay.routes relay.route_versions relay.routing"],
  ["relay/dispatch", "model database events journal relay/model relay/content relay/destinations relay/routing", ""],
  ["relay/jobs",    "model database events journal relay/model relay/content relay/destinations relay/routing relay/dispatch", "relay.jobs relay.job_members relay.requests"],
  ["relay/delivery", "model database events journal integrations relay/model relay/content relay/senders relay/destinations relay/routing", "relay.workers"],
  ["relay/ledger",  "model database events journal integrations relay/model relay/content relay/senders relay/destinations", "relay.overdue"],
  ["relay/feed",    "model database events journal resources relay/model relay/content relay/routing", ""],
  ["relay",         "model database events journal integrations relay/model relay/destinations relay/routing relay/dispatch relay/jobs relay/delivery relay/ledger", "relay.*"],
  ["lifecycle",     "model database plaid/calls.ts audit events journal integrations mirror sync linking fleet listeners silence relay/forget.ts relay/destinations/sealed.ts", ""],
  // api/: docs/ describes nouns/, which stand on http/. The files of api/ itself put them together.
  ["api/http",      "model database integrations plaid relay/content relay/destinations relay/senders relay/jobs", ""],
  ["api/nouns",     "model database audit events journal plaid integrations resources mirror sync linking fleet listeners silence relay/model relay/destinations relay/routing relay/jobs relay/ledger relay/feed relay/delete-destination.ts lifecycle api/http", ""],
  ["api/docs",      "model events api/http api/nouns",                          ""],
  ["api",           "model receiver api/http api/nouns api/docs",         ""],
  ["simulator",     "only errors.ts clock.ts",                            ""],
  // cli/: commands/ has a file for each noun, which stands on the others. output/ prints, wiring/ constructs and stops, input/ reads options.
  ["cli/output",    "model database sync/cursor-queries.ts fleet relay/model relay/ledger relay/jobs relay/feed", ""],
  ["cli/wiring",    "*",                                                  ""],
  ["cli/input",     "model relay/model relay/destinations",               ""],
  ["cli/commands",  "*",                                                  ""],
  ["cli",           "cli/output cli/wiring cli/commands",                 ""],
];

/** Files of sql/ that are not named after their folder. */
export const SQL_FILES: Readonly<Record<string, string>> = {
  "0009_relay_routing.sql": "relay",
  "0010_relay_ledger.sql": "relay",
};

/** What a file or folder does beside its row, and why. Each line must be needed. */
export const EXCEPTIONS: readonly Exception[] = [
  ["events", "names relay.overdue", "An event type has the name of the table."],
  ["api/nouns", "names relay.overdue", "An event type has the name of the table."],
];
