/** Why a public token did not become an item, in plain words, and what to do about it. */
import type { PublicTokenReason } from "../model/statuses.ts";
import { explain, type Reason } from "../plaid/reasons.ts";

const LINK_AGAIN = "Ask the user to link the account again.";

const REASONS: Readonly<Record<PublicTokenReason, Reason>> = {
  expired: {
    message: "The public token was not exchanged within the 30 minutes that Plaid gives it.",
    next_step: `${LINK_AGAIN} last_error and Tartan's log say what held the exchange up.`,
  },
  exchanged_elsewhere: {
    message:
      "Plaid no longer accepts the public token: somebody else exchanged it, it had ended before it came, or it belongs to another Plaid client.",
    next_step:
      "If your backend exchanged it, post ITEM/CREATED with the access token, and switch adopt_items off where your backend exchanges " +
      `public tokens. Otherwise: ${LINK_AGAIN.toLowerCase()}`,
  },
  lost: {
    message:
      "Tartan asked Plaid to exchange the public token, and neither got nor stored the answer: its process ended, or the network broke. " +
      "Plaid exchanges a public token once, so nobody has the access token.",
    next_step: `${LINK_AGAIN} Ask Plaid's support to remove the Item that was made, since Plaid may bill it.`,
  },
  refused: {
    message:
      "The public token was not exchanged: Plaid refused it, or (`not_found`) the webhook that brought it was erased. last_error says which.",
    next_step: LINK_AGAIN,
  },
};

/** Explains a failure; of a token that is tried again, its last error. */
export function explainOutcome(
  reason: PublicTokenReason | null,
  lastError: string | null,
): { message: string | null; next_step: string | null } {
  if (reason !== null) return REASONS[reason];
  return lastError === null ? { message: null, next_step: null } : explain("", lastError);
}
