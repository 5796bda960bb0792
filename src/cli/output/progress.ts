/** A progress bar for work of known size, on stderr and only in a terminal. */
import { SingleBar } from "cli-progress";

export function progressBar(unit: string): SingleBar {
  const format = `{bar} {percentage} %  {value}/{total} ${unit}  {eta_formatted} left`;
  return new SingleBar({ format, barsize: 30, hideCursor: true, noTTYOutput: false, stream: process.stderr });
}
