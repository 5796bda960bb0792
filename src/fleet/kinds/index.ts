/** All kinds of jobs about items that this version works on. */
import type { FleetKind } from "../../model/statuses.ts";
import { TartanError } from "../../errors.ts";
import type { Kind } from "../kind.ts";
import { backfill } from "./backfill.ts";
import { check } from "./check.ts";
import { webhookMove } from "./webhook-move.ts";

export const KINDS: Readonly<Partial<Record<FleetKind, Kind>>> = { webhook_move: webhookMove, backfill, check };

/** @throws TartanError `conflict` for a kind that only another version knows */
export function kindOf(name: FleetKind): Kind {
  const kind = KINDS[name];
  if (!kind) throw new TartanError("conflict", `This version of Tartan does not know jobs of the kind ${name}.`);
  return kind;
}
