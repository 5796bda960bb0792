/**
 * The vault: it seals tokens and secrets (seal.ts), loads its keys (master-keys.ts), and replaces
 * them (sealing.ts, rotation.ts, and lifecycle/rotation.ts for all owners of sealed columns).
 */
export { beginRotation, finishRotation, loadMasterKeys, type MasterKeys } from "./master-keys.ts";
export { openVault, type Vault } from "./seal.ts";
export { checkSealingKey } from "./sealing.ts";
