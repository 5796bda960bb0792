/**
 * A request that the intake refuses: its answer, and the reason under which it is recorded.
 */
import { errorBody, TartanError, type ErrorCode, type ErrorDetails } from "../errors.ts";

export class IntakeRefusal extends Error {
  override readonly name = "IntakeRefusal";
  readonly answer: TartanError;
  /** stable code for the record of refusals and its metric */
  readonly reason: string;
  readonly detail: string;
  #text: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails & { reason?: string; detail?: string } = {}) {
    // Without stacks: anyone can cause refusals, and a stack costs more than the rest of one.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    const { reason = code, detail = message, ...rest } = details;
    this.answer = new TartanError(code, message, rest);
    Error.stackTraceLimit = stackTraceLimit;
    this.reason = reason;
    this.detail = detail;
  }

  /** The body of the answer, made once: a flood shares its refusals. */
  get text(): string {
    return (this.#text ??= JSON.stringify(errorBody(this.answer)));
  }
}

const RETRY_AFTER_SECONDS = 10;

/** The refusal for an error that was thrown while a request was handled; null for an error of Tartan itself. */
export function toRefusal(thrown: unknown): IntakeRefusal | null {
  if (thrown instanceof IntakeRefusal) return thrown;
  if (thrown instanceof TartanError) return fromTartan(thrown);
  switch ((thrown as { code?: unknown } | null)?.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new IntakeRefusal("body_too_large", "A webhook has at most 1 MiB.");
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new IntakeRefusal("webhook_malformed", "The body does not have the length that Content-Length names.");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new IntakeRefusal("unsupported_media_type", "The Content-Type is not valid. Send application/json.");
    default:
      return null;
  }
}

function fromTartan(error: TartanError): IntakeRefusal | null {
  const { code, message, fields, retryAfterSeconds } = error;
  if (code === "internal" || code === "vault_unsealable") return null;
  const fieldsKept = fields ? { fields } : {};
  if (code === "login_malformed") return new IntakeRefusal(code, message, { ...fieldsKept, detail: namesOf(fields) });
  if (code === "invalid_request")
    return new IntakeRefusal("webhook_malformed", message, { ...fieldsKept, detail: namesOf(fields) });
  const later = error.status === 503 ? { retryAfterSeconds: retryAfterSeconds ?? RETRY_AFTER_SECONDS } : {};
  return new IntakeRefusal(code, message, { ...fieldsKept, ...later });
}

/** The names of the invalid fields, without their values. */
export const namesOf = (fields: Record<string, string> | undefined): string =>
  Object.entries(fields ?? {})
    .map(([field, fault]) => `${field} ${fault}`)
    .join("; ");
