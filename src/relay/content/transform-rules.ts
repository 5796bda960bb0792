/**
 * Decides which JSONata expressions are accepted. A transform must yield the same bytes each time, so functions that depend on time
 * or chance are refused. So are functions that create expressions at run time, which cannot be checked beforehand.
 */
import jsonata from "jsonata";
import { TartanError } from "../../errors.ts";
import { text } from "../../model/schema.ts";
import { errorOf } from "../../model/validation.ts";

/** The text of an expression, before it is read. */
export const Expression = text(10_000, "A JSONata expression.");

/** Refused functions, by name, even if an expression binds the name to something else. */
export const REFUSED_FUNCTIONS: Readonly<Record<string, string>> = {
  now: "returns the time, which differs at each run; the event has occurred_at",
  millis: "returns the time, which differs at each run; the event has occurred_at",
  random: "yields something else at each run",
  shuffle: "yields something else at each run",
  eval: "makes expressions at run time",
};

/** @throws TartanError `invalid_request` with the field `transform` */
export function checkTransform(expression: string): void {
  const error = expressionError(expression);
  if (error === null) return;
  throw new TartanError("invalid_request", `The transform is not usable: it ${error}.`, {
    fields: { transform: error },
  });
}

/** What is wrong with it, or null. */
export function expressionError(expression: unknown): string | null {
  const error = errorOf(Expression, expression);
  if (error !== null || typeof expression !== "string") return error;
  if (expression.trim() === "") return "must not be empty";
  try {
    return refusedIn(jsonata(expression).ast());
  } catch (error) {
    const { code, position, message } = error as { code?: string; position?: number; message?: string };
    if (code === undefined) return "is nested too deep to be read as JSONata";
    return `is not JSONata: ${message ?? code}${position === undefined ? "" : `, at character ${position}`}`;
  }
}

function refusedIn(ast: object): string | null {
  const seen = new Set<unknown>();
  const open: unknown[] = [ast];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== "object" || node === null || seen.has(node)) continue;
    seen.add(node);
    const { type, value } = node as { type?: unknown; value?: unknown };
    if (type === "variable" && typeof value === "string" && Object.hasOwn(REFUSED_FUNCTIONS, value)) {
      return `must not use $${value}, which ${REFUSED_FUNCTIONS[value]}`;
    }
    open.push(...Object.values(node));
  }
  return null;
}
