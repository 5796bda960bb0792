/** Who makes a change, and why: it goes into the audit log with the change. */

export interface Change {
  /** `admin key` or an API key's name; `cli:<user>` for a command */
  actor: string;
  /** in the actor's own words */
  reason?: string | undefined;
}

/** Tartan itself, where nobody asked. */
export const BY_TARTAN: Change = { actor: "tartan" };
