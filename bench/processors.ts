/**
 * What the work of a bench takes of the processors, all that takes part in it together: Tartan, its Postgres, and what the bench has
 * started besides, which runs on the same ones.
 */
import { cpuSeconds, postgresSeconds, type World } from "./world.ts";

/** @param pids processes besides Postgres and this one */
export async function usedSeconds(world: World, pids: readonly number[]): Promise<number> {
  const { user, system } = process.cpuUsage();
  const others = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  return (user + system) / 1e6 + others + (await postgresSeconds(world));
}

/** Seconds of the processors that one piece of each kind of work takes, and those that there are each second. */
export interface Costs {
  /** a webhook, from its request to its answer */
  accept: number;
  /** a webhook that sync settles without a run */
  settle: number;
  /** a change of a linked item: its webhook, the run that reads it, and the delivery */
  change: number;
  /** a webhook's delivery, from its dispatch on */
  deliver: number;
  /** what the receiver alone used each second when it accepted as much as it could */
  available: number;
}

/** Webhooks that can be accepted each second beside so many changes and deliveries a second, where each webhook is settled too. */
export const acceptable = (costs: Costs, changes: number, deliveries: number): number =>
  Math.max(0, costs.available - changes * costs.change - deliveries * costs.deliver) / (costs.accept + costs.settle);

/** The share of the processors that so much work a second asks for, where each webhook is delivered. More than 1 is more than there is. */
export const askedFor = (costs: Costs, changes: number, webhooks: number): number =>
  (changes * costs.change + webhooks * (costs.accept + costs.settle + costs.deliver)) / costs.available;
