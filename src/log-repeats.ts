/**
 * Leaves out the log lines that repeat while Postgres is away. Every loop of every role fails about once a second then, each with a line
 * of its own: in ten minutes these would be thousands, and hide the two that count (the database's own: it cannot be reached, it is
 * reached again). A sentence about an outage is said at once, and then once a minute with the number of lines that were left out.
 */

const SAY_EVERY_MS = 60_000;
/** Sentences are constant texts of the code, so there are fewer. */
const SENTENCES_MAX = 1_000;

/** Postgres shuts down, starts or crashed (57P0x), the connection failed (08…); the codes of sockets; Tartan's own code for these. */
const OUTAGE =
  /^(database_unavailable|57P0[1-3]|08...|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/;

/** Decides about the arguments of a line: as they are, with the number of lines that were left out, or null for no line. */
export function openRepeats(now: () => number = () => performance.now()): (args: unknown[]) => unknown[] | null {
  const said = new Map<string, { at: number; leftOut: number }>();
  return (args) => {
    const [fields, sentence] = args;
    if (typeof sentence !== "string" || !isOutage(fields)) return args;
    const before = said.get(sentence);
    if (before !== undefined && now() - before.at < SAY_EVERY_MS) {
      before.leftOut += 1;
      return null;
    }
    if (said.size >= SENTENCES_MAX) said.clear();
    said.set(sentence, { at: now(), leftOut: 0 });
    if (before === undefined || before.leftOut === 0) return args;
    return [{ ...(fields as object), left_out: before.leftOut }, ...args.slice(1)];
  };
}

/** Whether a line's fields hold an error of an outage. One of Plaid, or of a destination, has other codes or is wrapped. */
function isOutage(fields: unknown): boolean {
  if (typeof fields !== "object" || fields === null) return false;
  const { error, err } = fields as { error?: unknown; err?: unknown };
  const { code } = ((error ?? err) as { code?: unknown } | null | undefined) ?? {};
  return typeof code === "string" && OUTAGE.test(code);
}
