/** Writes the picture of docs/outages.md; with --check it only says whether it is stale. */
import { join } from "node:path";
import { picture } from "./outages-picture.mjs";
import { root, writePage } from "./page.mjs";

const { OPTIONS } = await import(join(root, "dist/config.js"));
const { DEADLINE_MS } = await import(join(root, "dist/spool/spool.js"));

const days = OPTIONS.quarantineDays.type.parse(undefined);
writePage("outages.svg", picture({ days, deadlineS: DEADLINE_MS / 1000 }));
