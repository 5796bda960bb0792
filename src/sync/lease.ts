/** The lease of a claimed subject: its parameters in every statement, and the error of a worker that has lost it. */
import { TartanError } from "../errors.ts";
import type { Scope } from "../mirror/types.ts";
import type { Claim } from "./types.ts";

/** The parameters that identify a claim: subject and lease. */
export const held = ({ integrationId, kind, id, leaseToken }: Claim): string[] => [integrationId, kind, id, leaseToken];

export const leaseLost = ({ kind, subjectId }: Pick<Scope, "kind" | "subjectId">): TartanError =>
  new TartanError("lease_lost", `The ${kind} ${subjectId} is another worker's by now; nothing was written.`);

export const isLeaseLost = (error: unknown): boolean => error instanceof TartanError && error.code === "lease_lost";
