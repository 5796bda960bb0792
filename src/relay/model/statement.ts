/** How the folders of relay/ name their prepared statements. */
import type { Statement } from "../../database/types.ts";

/** A statement that Postgres prepares once for each connection. Names are unique within relay/. */
export const statement = (name: string, text: string): Statement => ({ name: `relay_${name}`, text });
