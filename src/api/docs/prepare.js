/**
 * Runs before Scalar's script. The validator in it tries once to compile a function from text unless it is configured not to; the
 * page's policy forbids that, and the browser would report it.
 */
globalThis.__zod_globalConfig = { jitless: true };
