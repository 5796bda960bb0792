/**
 * Injects failures on request. A fault has a kind, a target (an Item, an endpoint, a client, an institution, a
 * webhook code; absent: everything), a number of occurrences (`count`) and a probability (from the seed). It stays until its
 * count is used up or it is deleted. docs/simulator.md has an example of each.
 */
import { z } from "zod";
import type { Random } from "./random.ts";

const scope = {
  item_id: z.string().optional(),
  client_id: z.string().optional(),
  /** occurs this often, then is deleted; absent: until deleted */
  count: z.int().min(1).optional(),
  probability: z.number().min(0).max(1).optional(),
};
const onRequest = { ...scope, endpoint: z.string().startsWith("/").optional() };
const onWebhook = { ...scope, webhook_code: z.string().optional() };
const kind = <const K extends string>(name: K) => z.literal(name);

export const faultSchema = z.discriminatedUnion("kind", [
  /** the next page of a sync loop fails; stubborn: so does every request that carries a cursor */
  z.strictObject({ kind: kind("mutation"), ...onRequest, stubborn: z.boolean().default(false) }),
  z.strictObject({ kind: kind("cursor_invalid"), ...onRequest }),
  z.strictObject({ kind: kind("rate_limit"), ...onRequest }),
  z.strictObject({
    kind: kind("server_error"),
    ...onRequest,
    status: z.int().min(500).max(599).default(500),
    body: z.enum(["plaid", "html", "empty"]).default("plaid"),
  }),
  z.strictObject({ kind: kind("slow"), ...onRequest, ms: z.int().min(0).max(600_000) }),
  z.strictObject({ kind: kind("institution_down"), ...onRequest, institution_id: z.string().optional() }),
  z.strictObject({ kind: kind("login_required"), ...onRequest }),
  z.strictObject({ kind: kind("connection_cut"), ...onRequest, after_bytes: z.int().min(0).default(64) }),
  z.strictObject({ kind: kind("key_endpoint_down"), ...scope }),
  z.strictObject({
    kind: kind("duplicate_webhooks"),
    ...onWebhook,
    copies: z.int().min(1).max(100).default(1),
    /** the copy has a signature of its own instead of being the same bytes again */
    resign: z.boolean().default(false),
  }),
  z.strictObject({
    kind: kind("reorder_webhooks"),
    ...onWebhook,
    within_ms: z.int().min(1).max(3_600_000).default(500),
  }),
  z.strictObject({ kind: kind("drop_webhooks"), ...onWebhook }),
]);

export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;
export type FaultKind = Fault["kind"];
export type ActiveFault = Fault & { fault_id: string; struck: number };

export interface Target {
  itemId?: string | null | undefined;
  clientId?: string | null | undefined;
  institutionId?: string | null | undefined;
  endpoint?: string | undefined;
  webhookCode?: string | undefined;
  /** the cursor of the request is one between two pages */
  midLoop?: boolean | undefined;
}

export class Faults {
  #active: ActiveFault[] = [];
  #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  add(fault: Fault): ActiveFault {
    const active = { ...fault, fault_id: `flt_${this.#random.id(12)}`, struck: 0 };
    this.#active.push(active);
    return active;
  }

  all(): ActiveFault[] {
    return this.#active.map((one) => ({ ...one }));
  }

  /** @returns how many were deleted */
  clear(faultId?: string): number {
    const before = this.#active.length;
    this.#active = faultId === undefined ? [] : this.#active.filter((one) => one.fault_id !== faultId);
    return before - this.#active.length;
  }

  /** The fault of this kind that occurs for this target now, if any; it is counted. */
  strike<K extends FaultKind>(kind: K, target: Target): (ActiveFault & { kind: K }) | null {
    for (const fault of this.#active) {
      if (fault.kind !== kind || !aims(fault, target)) continue;
      if (fault.probability !== undefined && !this.#random.chance(fault.probability)) continue;
      fault.struck += 1;
      if (fault.count !== undefined && fault.struck >= fault.count) this.clear(fault.fault_id);
      return fault as ActiveFault & { kind: K };
    }
    return null;
  }
}

function aims(fault: Fault, target: Target): boolean {
  if (fault.kind === "mutation" && !fault.stubborn && !target.midLoop) return false;
  const wants = [
    [fault.item_id, target.itemId],
    [fault.client_id, target.clientId],
    ["endpoint" in fault ? fault.endpoint : undefined, target.endpoint],
    ["webhook_code" in fault ? fault.webhook_code : undefined, target.webhookCode],
    ["institution_id" in fault ? fault.institution_id : undefined, target.institutionId],
  ];
  return wants.every(([requested, actual]) => requested === undefined || requested === actual);
}
