/**
 * Compiles a matcher, which is a set of conditions on a payload written as JSON, to a function that never throws.
 *
 *   {"webhook_code": "ERROR", "error.error_code": {"$in": ["ITEM_LOGIN_REQUIRED", "ITEM_LOCKED"]}}
 *
 * A key is a dotted path. Its value is a value to equal, an object of operators, or a matcher for the value at the path. All keys of
 * an object must match. Where a path meets an array, at least one element must match; a matcher for elements
 * ({"added": {"amount": {"$gt": 100}, "pending": false}}) must match one single element. `$ne`, `$nin` and `$not` require that no
 * element matches. A missing value equals nothing, not even null, and has no order.
 *
 * The cost of a match is at most the size of the matcher times the size of the payload: there are no regular expressions, and a path
 * visits each part of a payload at most once.
 */
import { TartanError } from "../../errors.ts";
import { anyText } from "../../model/schema.ts";
import { errorOf } from "../../model/validation.ts";

export type Matcher = (value: unknown) => boolean;

/** Tests the values at a path: several where the path met arrays, `[undefined]` where there is none. */
type Test = (values: readonly unknown[]) => boolean;
type Json = Record<string, unknown>;
type Scalar = string | number | boolean | null;

const DEPTH_MAX = 8;
const NODES_MAX = 200;
const TEXT = anyText(1024, "A text of a matcher.");

/**
 * @throws TartanError `invalid_request`, with an error for each place in `fields`
 */
export function compileMatcher(json: unknown): Matcher {
  const { test, errors } = compile(json);
  if (Object.keys(errors).length > 0) {
    const lines = Object.entries(errors).map(([field, error]) => `${field} ${error}`);
    throw new TartanError("invalid_request", `The matcher is not usable: ${lines.join("; ")}.`, { fields: errors });
  }
  return (value) => test(spread(value));
}

/** Place → what is wrong there; empty where the matcher is usable. The places begin with `match`. */
export const matcherErrors = (json: unknown): Record<string, string> => compile(json).errors;

function compile(json: unknown): { test: Test; errors: Record<string, string> } {
  const compiler = new Compiler();
  const test = isObject(json) ? compiler.object(json, "match", 1) : compiler.error("match", "must be an object");
  return { test, errors: compiler.errors };
}

const never: Test = () => false;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);

/** An array is itself and, however deep, its elements. */
function spread(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return [value];
  const found: unknown[] = [];
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    found.push(next);
    if (Array.isArray(next)) for (const element of next) open.push(element);
  }
  return found;
}

function follow(values: readonly unknown[], path: readonly string[]): readonly unknown[] {
  let reached = values;
  for (const name of path) {
    const next: unknown[] = [];
    for (const value of reached) {
      if (isObject(value) && Object.hasOwn(value, name)) for (const inner of spread(value[name])) next.push(inner);
    }
    if (next.length === 0) return [undefined];
    reached = next;
  }
  return reached;
}

type Order = (compared: number) => boolean;

const ordered =
  (operand: string | number, holds: Order) =>
  (value: unknown): boolean => {
    if (typeof value !== typeof operand) return false;
    const known = value as string | number;
    return holds(known < operand ? -1 : known > operand ? 1 : 0);
  };

const some =
  (holds: (value: unknown) => boolean): Test =>
  (values) =>
    values.some(holds);
const not =
  (test: Test): Test =>
  (values) =>
    !test(values);

/** The operands that each operator takes, and its test. */
const OPERATORS: Record<
  string,
  { takes: "scalar" | "order" | "list" | "boolean" | "text"; test(operand: never): Test }
> = {
  $eq: { takes: "scalar", test: (operand: Scalar) => some((value) => value === operand) },
  $ne: { takes: "scalar", test: (operand: Scalar) => not(some((value) => value === operand)) },
  $gt: { takes: "order", test: (operand: string | number) => some(ordered(operand, (sign) => sign > 0)) },
  $gte: { takes: "order", test: (operand: string | number) => some(ordered(operand, (sign) => sign >= 0)) },
  $lt: { takes: "order", test: (operand: string | number) => some(ordered(operand, (sign) => sign < 0)) },
  $lte: { takes: "order", test: (operand: string | number) => some(ordered(operand, (sign) => sign <= 0)) },
  $in: { takes: "list", test: (operand: Scalar[]) => some(isOneOf(operand)) },
  $nin: { takes: "list", test: (operand: Scalar[]) => not(some(isOneOf(operand))) },
  $exists: {
    takes: "boolean",
    test: (operand: boolean) => (values) => values.some((value) => value !== undefined) === operand,
  },
  $startsWith: { takes: "text", test: (operand: string) => some(isText((text) => text.startsWith(operand))) },
  $endsWith: { takes: "text", test: (operand: string) => some(isText((text) => text.endsWith(operand))) },
  $contains: { takes: "text", test: (operand: string) => some(isText((text) => text.includes(operand))) },
};

const isOneOf = (list: readonly Scalar[]): ((value: unknown) => boolean) => {
  const set: ReadonlySet<unknown> = new Set(list);
  return (value) => set.has(value);
};

const isText =
  (holds: (text: string) => boolean) =>
  (value: unknown): boolean =>
    typeof value === "string" && holds(value);

/** kind of operand → whether a value fits, and how to fix one that does not */
const OPERANDS: Record<string, [fits: (operand: unknown) => boolean, fix: string]> = {
  scalar: [isScalar, "must be a text, a number, true, false or null"],
  order: [(operand) => typeof operand === "string" || Number.isFinite(operand), "must be a number or a text"],
  list: [
    (operand) => Array.isArray(operand) && operand.every(isScalar),
    "must be a list of texts, numbers, true, false or null",
  ],
  boolean: [(operand) => typeof operand === "boolean", "must be true or false"],
  text: [(operand) => typeof operand === "string", "must be a text"],
};

const LOGICAL = new Set(["$and", "$or", "$not"]);

/** True when it has operators only: then each operator may match another element of an array; otherwise one element must match all. */
const comparesOnly = (matcher: Json): boolean =>
  Object.keys(matcher).every(
    (key) => Object.hasOwn(OPERATORS, key) || (key === "$not" && isObject(matcher[key]) && comparesOnly(matcher[key])),
  );

class Compiler {
  readonly errors: Record<string, string> = {};
  #nodes = 0;

  error(place: string, error: string): Test {
    // A place keeps its first error.
    this.errors[place] ??= error;
    return never;
  }

  /** Counts a node and refuses what lies too deep; false where compiling has to stop. */
  #enter(place: string, depth: number): boolean {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX) this.error("match", `must have at most ${NODES_MAX} keys and values altogether`);
    else if (depth > DEPTH_MAX)
      this.error(place, `lies too deep: at most ${DEPTH_MAX} objects may stand within one another`);
    else return true;
    return false;
  }

  object(matcher: Json, place: string, depth: number): Test {
    if (!this.#enter(place, depth)) return never;
    const entries = Object.entries(matcher);
    if (entries.length === 0 && depth > 1) {
      return this.error(place, 'must not be empty; {"$exists": true} asks for anything to be there');
    }
    const tests: Test[] = [];
    for (const [key, asked] of entries) {
      if (this.#nodes > NODES_MAX) break;
      tests.push(this.#entry(key, asked, place, depth));
    }
    const all: Test = (values) => tests.every((test) => test(values));
    return comparesOnly(matcher) ? all : (values) => values.some((value) => !Array.isArray(value) && all([value]));
  }

  #entry(key: string, asked: unknown, parent: string, depth: number): Test {
    const place = `${parent}.${key.slice(0, 100)}`;
    if (LOGICAL.has(key)) return this.#logical(key, asked, place, depth);
    if (Object.hasOwn(OPERATORS, key)) return this.#operator(key, asked, place, depth);
    if (key.startsWith("$")) {
      return this.error(place, `is no operator; there are ${[...Object.keys(OPERATORS), ...LOGICAL].join(", ")}`);
    }
    return this.#path(key, asked, place, depth);
  }

  #path(key: string, asked: unknown, place: string, depth: number): Test {
    const path = key.split(".");
    const error = errorOf(TEXT, key);
    if (error !== null) return this.error(place, error);
    if (path.includes("")) return this.error(place, "must be names with single dots between them");
    if (Array.isArray(asked)) return this.error(place, 'must not be a list; {"$in": […]} asks for one of several');
    const test = isObject(asked) ? this.object(asked, place, depth + 1) : this.#operator("$eq", asked, place, depth);
    return (values) => test(follow(values, path));
  }

  #logical(key: string, asked: unknown, place: string, depth: number): Test {
    if (key === "$not") {
      return isObject(asked) ? not(this.object(asked, place, depth + 1)) : this.error(place, "must be an object");
    }
    if (!Array.isArray(asked) || asked.length === 0 || !asked.every(isObject)) {
      return this.error(place, "must be a list of objects that is not empty");
    }
    if (asked.length > NODES_MAX)
      return this.error("match", `must have at most ${NODES_MAX} keys and values altogether`);
    const tests = asked.map((member, index) => this.object(member, `${place}.${index}`, depth + 1));
    return key === "$and"
      ? (values) => tests.every((test) => test(values))
      : (values) => tests.some((test) => test(values));
  }

  #operator(name: string, operand: unknown, place: string, depth: number): Test {
    if (!this.#enter(place, depth)) return never;
    const operator = OPERATORS[name];
    const [fits, fix] = OPERANDS[operator?.takes ?? ""] ?? [];
    if (!operator || !fits?.(operand)) return this.error(place, fix ?? "is no operator");
    for (const value of Array.isArray(operand) ? (operand as unknown[]) : [operand]) {
      const error = typeof value === "string" ? errorOf(TEXT, value) : null;
      if (error !== null) return this.error(place, error);
    }
    if (Array.isArray(operand)) this.#nodes += operand.length;
    if (this.#nodes > NODES_MAX)
      return this.error("match", `must have at most ${NODES_MAX} keys and values altogether`);
    return operator.test(operand as never);
  }
}
