/** `Idempotency-Key`, for operations that start a job: a repeated request gets the first answer again and starts nothing. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Database } from "../../database/types.ts";
import { once, type Answered } from "../../relay/jobs/requests.ts";
import { text } from "../../model/schema.ts";

export const IdempotencyHeaders = z.looseObject({
  "idempotency-key": text(
    255,
    "Of your choice, such as a UUID: within 24 hours the same request with the same key gets the first answer again, with " +
      "`Idempotent-Replayed: true`.",
  ).exactOptional(),
});

/** The answer of `work`, or the stored one if its key came before. The answer of a dry run (200) is not stored. */
export async function idempotently<T>(
  database: Database,
  { headers, method, url, body }: Pick<FastifyRequest, "method" | "url" | "body"> & { headers: object },
  reply: Pick<FastifyReply, "header">,
  work: (database: Database) => Promise<Answered<T>>,
): Promise<Answered<T>> {
  const key = (headers as Record<string, string | undefined>)["idempotency-key"];
  const isCount = (body as { dry_run?: boolean } | null)?.dry_run === true;
  if (key === undefined || isCount) return await work(database);
  const answer = await once(database, key, JSON.stringify([method, url, body]), work);
  if (answer.repeated) reply.header("idempotent-replayed", "true");
  return answer;
}
