/** Binary arrays, where relay/ looks for them. */
export { ArrayWriter } from "../database/binary-arrays.ts";
