/** What a change of an integration's lists `--reveal` and `--enable` does: each given list replaces the one before. */
import type { Integration } from "../../../integrations/integrations.ts";
import { RESOURCES } from "../../../resources/index.ts";
import { confirm } from "../../input/confirm.ts";
import { tell } from "../../output/print.ts";

type Lists = Pick<Integration, "revealed_resources" | "enabled_resources">;

const without = (names: readonly string[], others: readonly string[]): string =>
  names.filter((name) => !others.includes(name)).join(", ");

/** What Plaid bills for every request is read only by name. */
const isReadByName = (name: string): boolean => RESOURCES.find((each) => each.name === name)?.billed === "each";

/**
 * Asks for confirmation where a list of resources to reveal lacks one of those before: its rows are masked in place.
 * @throws TartanError `invalid_request` unless the user confirms
 */
export async function confirmMasking(
  before: Lists,
  reveal: readonly string[] | undefined,
  flags: { yes?: true; json?: true },
): Promise<void> {
  const hidden = reveal === undefined ? "" : without(before.revealed_resources, reveal);
  if (hidden === "") return;
  const what = `The list replaces the one before, so this masks all stored rows of ${hidden}.`;
  await confirm(`${what} What Plaid no longer returns stays masked, even if you reveal it again.`, flags);
}

/** Says which resources became masked, unmasked, requested and no longer requested. */
export function sayListChanges(before: Lists, after: Lists): void {
  const hidden = without(before.revealed_resources, after.revealed_resources);
  if (hidden) tell(`Masked in all stored rows: ${hidden}.`);
  sayAdded("No longer masked", before.revealed_resources, after.revealed_resources);
  sayAdded("Requested from now on", before.enabled_resources, after.enabled_resources);
  const disabled = without(before.enabled_resources, after.enabled_resources);
  if (disabled) tell(`No longer requested: ${disabled}. The stored rows stay.`);
}

function sayAdded(what: string, before: readonly string[], after: readonly string[]): void {
  const read = without(after, before.concat(after.filter(isReadByName)));
  if (read) tell(`${what}: ${read}. Tartan is reading it from Plaid.`);
  const byName = without(after.filter(isReadByName), before);
  if (byName) tell(`${what}, whenever you ask for it by name (\`--resources\`): ${byName}.`);
}
