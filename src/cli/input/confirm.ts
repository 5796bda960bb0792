/** Asks for confirmation before what cannot be undone. Without a terminal it asks nothing and requires `--yes`. */
import { confirm as ask, isCancel } from "@clack/prompts";
import { TartanError } from "../../errors.ts";

/**
 * @param what a sentence that says what happens
 * @throws TartanError `invalid_request` unless the user confirms
 */
export async function confirm(what: string, { yes, json }: { yes?: true; json?: true }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY || json) {
    throw new TartanError("invalid_request", `${what} Repeat it with --yes.`);
  }
  const answer = await ask({ message: `${what} Continue?`, initialValue: false });
  if (isCancel(answer) || !answer) throw new TartanError("invalid_request", "Nothing was done.");
}
