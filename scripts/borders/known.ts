/** What is left of the findings once the exceptions and the breaches that are known have been taken away. */
import type { Finding } from "./judge.ts";
import { FILE, type Table } from "./table.ts";

/** Breaches that are there today, by file: `{ "src/journal/accept.ts": ["writes sync.subjects"] }`. */
export type Known = Readonly<Record<string, readonly string[]>>;

/** Takes away what is excepted or known; adds the exceptions and known breaches that nothing needs any more. */
export function judged(found: readonly Finding[], { EXCEPTIONS }: Pick<Table, "EXCEPTIONS">, known: Known): Finding[] {
  const used = new Set<string>();
  const left = found.filter(({ file, does }) => {
    const excepted = EXCEPTIONS.filter(([who, what]) => covers(who, file) && (what === does || within(what, does)));
    const listed = known[file]?.includes(does) ?? false;
    for (const [who, what] of excepted) used.add(`${who} ${what}`);
    if (listed) used.add(`${file} ${does}`);
    return !listed && excepted.length === 0;
  });
  const idle = EXCEPTIONS.filter(([who, what]) => !used.has(`${who} ${what}`)).map(([who, what]) => ({
    file: FILE,
    line: 0,
    does: "has an idle exception",
    text: `excepts that ${who} ${what}, which it does not do. Remove the exception.`,
  }));
  const gone = Object.entries(known).flatMap(([file, all]) =>
    all
      .filter((does) => !used.has(`${file} ${does}`))
      .map((does) => ({ file, line: 0, does, text: `no longer ${does}. Run npm run check:borders -- --update.` })),
  );
  return [...left, ...idle, ...gone];
}

const covers = (who: string, file: string): boolean => who === file || file.startsWith(`src/${who}/`);
/** `names plaid.*` covers `names plaid.items`. */
const within = (pattern: string, does: string): boolean =>
  pattern.endsWith(".*") && does.startsWith(pattern.slice(0, -1));

/**
 * The list of known breaches without those that are gone, and with the new paths of files that moved.
 * @returns null when it would be longer than before
 */
export function shortened(found: readonly Finding[], table: Pick<Table, "EXCEPTIONS">, known: Known): Known | null {
  const list: Record<string, string[]> = {};
  for (const { file, does } of judged(found, table, {})) {
    if (file === FILE) continue;
    const all = (list[file] ??= []);
    if (!all.includes(does)) all.push(does);
  }
  const sorted = Object.entries(list).map(([file, all]) => [file, all.toSorted()] as const);
  const next: Known = Object.fromEntries(sorted.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return countOf(next) > countOf(known) ? null : next;
}

export const countOf = (known: Known): number => Object.values(known).flat().length;
