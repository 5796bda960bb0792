/** What is left of the findings once the exceptions have been taken away. */
import type { Finding } from "./judge.ts";
import { FILE, type Table } from "./table.ts";

/** Takes away what is excepted; adds the exceptions that nothing needs. */
export function judged(found: readonly Finding[], { EXCEPTIONS }: Pick<Table, "EXCEPTIONS">): Finding[] {
  const used = new Set<string>();
  const left = found.filter(({ file, does }) => {
    const excepted = EXCEPTIONS.filter(([who, what]) => covers(who, file) && (what === does || within(what, does)));
    for (const [who, what] of excepted) used.add(`${who} ${what}`);
    return excepted.length === 0;
  });
  const idle = EXCEPTIONS.filter(([who, what]) => !used.has(`${who} ${what}`)).map(([who, what]) => ({
    file: FILE,
    line: 0,
    does: "has an idle exception",
    text: `excepts that ${who} ${what}, which it does not do. Remove the exception.`,
  }));
  return [...left, ...idle];
}

const covers = (who: string, file: string): boolean => who === file || file.startsWith(`src/${who}/`);
/** `names plaid.*` covers `names plaid.items`. */
const within = (pattern: string, does: string): boolean =>
  pattern.endsWith(".*") && does.startsWith(pattern.slice(0, -1));
