/**
 * A matcher: conditions on a payload, written as JSON, compiled to a function that answers for any value and never throws.
 *
 *   {"webhook_code": "ERROR", "error.error_code": {"$in": ["ITEM_LOGIN_REQUIRED", "ITEM_LOCKED"]}}
 *
 * A key is a dotted path; what stands behind it is a value to equal, an object of operators, or a matcher for what is there.
 * All keys of an object must hold. Where a path meets an array, at least one of its elements must do; a matcher for the
 * elements ({"added": {"amount": {"$gt": 100}, "pending": false}}) must hold whole of one and the same. `$ne`, `$nin` and
 * `$not` say that what they deny holds of none. What is missing equals nothing (not null either) and has no order.
 *
 * What a match may cost is bounded by the size of the matcher times the size of the payload: there are no regular
 * expressions, and a path goes into each part of a payload at most once.
 */
import { TartanError } from "../../errors.ts";
import { textFault } from "../model/validation-errors.ts";

export type Matcher = (value: unknown) => boolean;

/** Whether a condition holds of what a path led to: several values where it met arrays, `[undefined]` where nothing is. */
type Test = (values: readonly unknown[]) => boolean;
type Json = Record<string, unknown>;
type Scalar = string | number | boolean | null;

const DEPTH_MAX = 8;
const NODES_MAX = 200;
const TEXT_MAX = 1024;

/**
 * @throws TartanError `invalid_request`, naming each place at fault in `fields`
 */
export function compileMatcher(json: unknown): Matcher {
  const { test, faults } = compile(json);
  if (Object.keys(faults).length > 0) {
    const lines = Object.entries(faults).map(([field, fault]) => `${field} ${fault}`);
    throw new TartanError("invalid_request", `The matcher is not usable: ${lines.join("; ")}.`, { fields: faults });
  }
  return (value) => test(spread(value));
}

/** Place → what is wrong there; empty where the matcher is usable. The places begin with `match`. */
export const matcherFaults = (json: unknown): Record<string, string> => compile(json).faults;

function compile(json: unknown): { test: Test; faults: Record<string, string> } {
  const compiler = new Compiler();
  const test = isObject(json) ? compiler.object(json, "match", 1) : compiler.fault("match", "must be an object");
  return { test, faults: compiler.faults };
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

/** What each operator takes, and what it asks. */
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

/** operand's kind → whether it is one, and what to write */
const OPERANDS: Record<string, [fits: (operand: unknown) => boolean, mend: string]> = {
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

/** Whether it only compares: then each operator looks for its own element of an array; else all look at the same one. */
const comparesOnly = (matcher: Json): boolean =>
  Object.keys(matcher).every(
    (key) => Object.hasOwn(OPERATORS, key) || (key === "$not" && isObject(matcher[key]) && comparesOnly(matcher[key])),
  );

class Compiler {
  readonly faults: Record<string, string> = {};
  #nodes = 0;

  fault(place: string, fault: string): Test {
    // A place that was refused already keeps its first fault.
    this.faults[place] ??= fault;
    return never;
  }

  /** Counts a node and refuses what lies too deep; false where compiling has to stop. */
  #enter(place: string, depth: number): boolean {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX) this.fault("match", `must have at most ${NODES_MAX} keys and values altogether`);
    else if (depth > DEPTH_MAX)
      this.fault(place, `lies too deep: at most ${DEPTH_MAX} objects may stand within one another`);
    else return true;
    return false;
  }

  object(matcher: Json, place: string, depth: number): Test {
    if (!this.#enter(place, depth)) return never;
    const entries = Object.entries(matcher);
    if (entries.length === 0 && depth > 1) {
      return this.fault(place, 'must not be empty; {"$exists": true} asks for anything to be there');
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
      return this.fault(place, `is no operator; there are ${[...Object.keys(OPERATORS), ...LOGICAL].join(", ")}`);
    }
    return this.#path(key, asked, place, depth);
  }

  #path(key: string, asked: unknown, place: string, depth: number): Test {
    const path = key.split(".");
    const fault = textFault(key, TEXT_MAX);
    if (fault !== null) return this.fault(place, fault);
    if (path.includes("")) return this.fault(place, "must be names with single dots between them");
    if (Array.isArray(asked)) return this.fault(place, 'must not be a list; {"$in": […]} asks for one of several');
    const test = isObject(asked) ? this.object(asked, place, depth + 1) : this.#operator("$eq", asked, place, depth);
    return (values) => test(follow(values, path));
  }

  #logical(key: string, asked: unknown, place: string, depth: number): Test {
    if (key === "$not") {
      return isObject(asked) ? not(this.object(asked, place, depth + 1)) : this.fault(place, "must be an object");
    }
    if (!Array.isArray(asked) || asked.length === 0 || !asked.every(isObject)) {
      return this.fault(place, "must be a list of objects that is not empty");
    }
    if (asked.length > NODES_MAX)
      return this.fault("match", `must have at most ${NODES_MAX} keys and values altogether`);
    const tests = asked.map((member, index) => this.object(member, `${place}.${index}`, depth + 1));
    return key === "$and"
      ? (values) => tests.every((test) => test(values))
      : (values) => tests.some((test) => test(values));
  }

  #operator(name: string, operand: unknown, place: string, depth: number): Test {
    if (!this.#enter(place, depth)) return never;
    const operator = OPERATORS[name];
    const [fits, mend] = OPERANDS[operator?.takes ?? ""] ?? [];
    if (!operator || !fits?.(operand)) return this.fault(place, mend ?? "is no operator");
    for (const value of Array.isArray(operand) ? (operand as unknown[]) : [operand]) {
      const fault = typeof value === "string" ? textFault(value, TEXT_MAX) : null;
      if (fault !== null) return this.fault(place, fault);
    }
    if (Array.isArray(operand)) this.#nodes += operand.length;
    if (this.#nodes > NODES_MAX)
      return this.fault("match", `must have at most ${NODES_MAX} keys and values altogether`);
    return operator.test(operand as never);
  }
}
