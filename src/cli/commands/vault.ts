/** `tartan vault rotate`: seals every token and secret anew under another master key, while servers keep running. */
import { Command } from "commander";
import { beginRotation, finishRotation, loadMasterKeys, openVault } from "../../integrations/vault.ts";
import { rotateVault } from "../../lifecycle/rotation.ts";
import { withCore, type Core } from "../wiring/core.ts";
import { dim, green, say, sayJson, sayTable, tell } from "../output/print.ts";

export function vaultCommand(): Command {
  const vault = new Command("vault").description("the master key that seals tokens and secrets");
  vault
    .command("rotate")
    .description("seal everything anew under the newest master key")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
With TARTAN_MASTER_KEY:
  1. Put the new key first and keep the old one behind it, separated by a comma.
  2. Restart the servers, one after the other if you like. They still seal under the old key.
  3. Run this command. It refuses while a running server does not know the new key.
  4. Remove the old key.
With the key that Tartan generated, only run this command.`,
    )
    .action(withCore(rotate, { poolSize: 4 }));
  return vault;
}

async function rotate(core: Core, { json }: { json?: true }): Promise<void> {
  const { masterKey, dataDir } = core.config;
  const generated = masterKey === undefined;
  if (generated) await beginRotation(dataDir);
  const keys = generated ? await loadMasterKeys({ masterKey, dataDir, embedded: core.embedded }) : null;
  const vault = keys ? openVault(keys) : core.vault;
  const counts = await rotateVault(core.database, vault, (done, total) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${dim(`${done}/${total}`)}`);
  });
  if (process.stderr.isTTY) tell();
  if (generated) await finishRotation(dataDir);
  if (json) return sayJson({ key_id: vault.activeKeyId, resealed: counts });
  sayTable(
    Object.entries(counts),
    { column: ([column]) => column, "sealed anew": ([, count]) => String(count) },
    "There is nothing to seal yet.",
  );
  say(`${green("✓")} everything is sealed under key ${vault.activeKeyId}`);
}
