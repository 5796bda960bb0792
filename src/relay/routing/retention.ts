/** Retention of routes. */
import type { Queryable } from "../../database/types.ts";
import { FORGET_ROUTE_VERSIONS, FORGET_ROUTES } from "./queries.ts";

/** Deletes versions of routes, and deleted routes, that are older than `before` and than every kept delivery. */
export async function forgetRoutes(q: Queryable, before: Date): Promise<void> {
  await q.query(FORGET_ROUTE_VERSIONS, [before]);
  await q.query(FORGET_ROUTES, [before]);
}
