/** Asks before what cannot be taken back. Without a terminal nothing is asked: `--yes` says it. */
import { confirm as ask, isCancel } from "@clack/prompts";
import { TartanError } from "../errors.ts";

/**
 * @param what a sentence that says what happens
 * @throws TartanError `invalid_request` unless it is wanted
 */
export async function confirm(what: string, { yes, json }: { yes?: true; json?: true }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY || json) {
    throw new TartanError("invalid_request", `${what} Repeat it with --yes.`);
  }
  const answer = await ask({ message: `${what} Go on?`, initialValue: false });
  if (isCancel(answer) || !answer) throw new TartanError("invalid_request", "Nothing was done.");
}
