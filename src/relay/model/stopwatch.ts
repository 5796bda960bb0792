/**
 * Measures elapsed time for decisions that are only safe while they are fresh. The monotonic clock stands still while a
 * machine is suspended, and the wall clock can be set back, so the larger of both counts.
 *
 * @returns a function that yields the milliseconds since this call
 */
export function stopwatch(): () => number {
  const [monotonic, wall] = [performance.now(), Date.now()];
  return () => Math.max(performance.now() - monotonic, Date.now() - wall);
}
