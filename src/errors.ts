/**
 * Every error of Tartan, as one closed vocabulary. A code is stable: users may match on it, so it never
 * changes its meaning. A message says what is wrong and how to fix it, and never carries a token, a secret or a
 * payload. `fields` names the invalid inputs, one sentence each.
 */

/** code → the HTTP status of the API's answer. */
const STATUS = {
  config_invalid: 500,
  data_dir_in_use: 500,
  not_set_up: 500,
  database_unavailable: 503,
  schema_too_new: 500,
  schema_too_old: 500,
  migration_failed: 500,
  vault_key_missing: 500,
  vault_unsealable: 500,

  unauthorized: 401,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  cursor_expired: 410,
  body_pruned: 410,
  idempotency_key_reused: 422,
  invalid_request: 400,
  body_too_large: 413,
  unsupported_media_type: 415,
  overloaded: 503,
  internal: 500,

  webhook_unverified: 401,
  webhook_secret_missing: 401,
  webhook_secret_mismatch: 401,
  webhook_source_refused: 403,
  webhook_malformed: 400,
  verification_key_unavailable: 503,
  quarantine_full: 503,

  listener_token_missing: 401,
  listener_token_mismatch: 401,
  login_malformed: 400,

  plaid_error: 502,
  plaid_unreachable: 502,
  plaid_credentials_refused: 422,
  token_of_another_item: 422,
  public_token_refused: 422,
  token_lost: 502,
  not_enabled: 409,
  lease_lost: 409,

  simulator_port_in_use: 500,
  simulator_invalid_request: 400,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** The codes of what is usually over a moment later. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["database_unavailable", "overloaded"]);

export interface ErrorDetails {
  /** input field → what is wrong with it and how to fix it */
  fields?: Record<string, string>;
  /** seconds after which a repeat may succeed; sent as Retry-After */
  retryAfterSeconds?: number;
  /** true where somebody can fix it while the process waits, such as a full disk; false where it takes another process or another version */
  mayPass?: boolean;
  cause?: unknown;
}

export class TartanError extends Error {
  override readonly name = "TartanError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly fields: Record<string, string> | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly mayPass: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = STATUS[code];
    this.fields = details.fields;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.mayPass = details.mayPass ?? PASSING.has(code);
  }
}

/** The body of every error answer of the API: `{"error":{"code","message","fields"?}}`. */
export function errorBody(error: TartanError): {
  error: { code: ErrorCode; message: string; fields?: Record<string, string> };
} {
  const { code, message, fields } = error;
  return { error: fields ? { code, message, fields } : { code, message } };
}

/** What a log line may say about any thrown value: its kind, code and message, never its payload. */
export function describeError(error: unknown): { name: string; code?: string; message: string } {
  if (!(error instanceof Error)) return { name: typeof error, message: "a value that is not an Error was thrown" };
  const code = (error as { code?: unknown }).code;
  // Postgres repeats a value that it refuses; SQLSTATE classes 22 and 23.
  if (typeof code === "string" && /^2[23][0-9A-Z]{3}$/.test(code)) {
    return { name: error.name, code, message: `Postgres refused a value (${code})` };
  }
  // V8 repeats a part of the text that JSON.parse refuses.
  if (error instanceof SyntaxError && error.message.includes("JSON"))
    return { name: error.name, message: "a text is not valid JSON" };
  const described = { name: error.name, message: error.message };
  return typeof code === "string" ? { ...described, code } : described;
}
