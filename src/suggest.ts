/** "Did you mean …" for a mistyped name. */
import { closest, distance } from "fastest-levenshtein";

/** The name of `known` that is nearest to `word`, or null when none is near. */
export function suggestion(word: string, known: readonly string[]): string | null {
  if (word === "" || known.length === 0) return null;
  const nearest = closest(word.toLowerCase(), [...known]);
  const most = Math.max(1, Math.floor(Math.max(word.length, nearest.length) * 0.34));
  return distance(word.toLowerCase(), nearest.toLowerCase()) <= most ? nearest : null;
}

/** The end of a sentence, `; did you mean X?`, or an empty text. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = suggestion(word, known);
  return meant === null ? "" : `; did you mean ${meant}?`;
}
