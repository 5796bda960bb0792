/**
 * The vault: what tokens and secrets are sealed with (seal.ts), where its keys come from (master-keys.ts), and how they
 * are replaced (sealing.ts, rotation.ts).
 */
export { beginRotation, finishRotation, loadMasterKeys, type MasterKeys } from "./master-keys.ts";
export { rotateVault } from "./rotation.ts";
export { openVault, type Vault } from "./seal.ts";
export { checkSealingKey } from "./sealing.ts";
