/** A bar for work of known size: on stderr, and on a terminal only. */
import { SingleBar } from "cli-progress";

export function progressBar(unit: string): SingleBar {
  const format = `{bar} {percentage} %  {value}/{total} ${unit}  {eta_formatted} left`;
  return new SingleBar({ format, barsize: 30, hideCursor: true, noTTYOutput: false, stream: process.stderr });
}
