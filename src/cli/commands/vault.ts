/** `tartan vault rotate`: seals every token and secret anew under another master key, while servers keep running. */
import { Command } from "commander";
import { beginRotation, loadMasterKeys, openVault } from "../../integrations/vault.ts";
import { rotateVault } from "../../lifecycle/rotation.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { endRotation } from "../wiring/end-rotation.ts";
import { dim, green, plural, say, sayJson, sayTable, tell, yellow } from "../output/print.ts";

export function vaultCommand(): Command {
  const vault = new Command("vault").description("the master key that seals tokens and secrets");
  vault
    .command("rotate")
    .description("seal everything anew under the newest master key")
    .option(
      "--forget-spooled",
      "remove the generated key that was replaced even if tokens in the data directory need it",
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
With TARTAN_MASTER_KEY:
  1. Put the new key first and keep the old one behind it, separated by a comma.
  2. Restart the servers, one after the other if you like. They still seal under the old key.
  3. Run this command. It refuses while a running server does not know the new key.
  4. Remove the old key, when nothing waits in the spool of any receiver, nor in rescue files. The command says what waits in
     this data directory.
With the key that Tartan generated, only run this command. While tokens wait there, it keeps the old key and asks you to run
it again.`,
    )
    .action(withCore(rotate, { poolSize: 4 }));
  return vault;
}

interface Flags {
  json?: true;
  forgetSpooled?: true;
}

async function rotate(core: Core, { json, forgetSpooled }: Flags): Promise<void> {
  const { masterKey, dataDir } = core.config;
  const generated = masterKey === undefined;
  if (generated) await beginRotation(dataDir);
  const keys = generated ? await loadMasterKeys({ masterKey, dataDir, embedded: core.embedded }) : null;
  const vault = keys ? openVault(keys) : core.vault;
  const counts = await rotateVault(core.database, vault, (done, total) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${dim(`${done}/${total}`)}`);
  });
  if (process.stderr.isTTY) tell();
  const { database, logger } = core;
  const force = forgetSpooled ?? false;
  const unrotated = await endRotation({ database, logger, dataDir, vault, generated, force });
  if (json) return sayJson({ key_id: vault.activeKeyId, resealed: counts, ...unrotated });
  sayTable(
    Object.entries(counts),
    { column: ([column]) => column, "sealed anew": ([, count]) => String(count) },
    "There is nothing to seal yet.",
  );
  say(`${green("✓")} everything is sealed under key ${vault.activeKeyId}`);
  const { spooled, rescued } = unrotated;
  if (spooled > 0) say(yellow(describe(spooled, "in the spool", "a receiver has drained the spool", generated, force)));
  if (rescued > 0) say(yellow(describe(rescued, "in rescue files", "a server has stored them", generated, force)));
}

/** @param then what takes them into the database */
function describe(count: number, where: string, then: string, generated: boolean, forgotten: boolean): string {
  const what = `${plural(count, "token")} ${where} ${count === 1 ? "is" : "are"} still sealed under an old key`;
  if (!generated) return `${what}. Keep that key in TARTAN_MASTER_KEY until ${then}.`;
  if (forgotten) return `${what}, which is removed: they cannot be opened any more.`;
  return `${what}, which stays in master.key. Run this command again when ${then}.`;
}
