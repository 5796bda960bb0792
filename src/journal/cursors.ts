/** The codec of cursors, where relay/ looks for it. */
export { fromCursor, pageSize, toCursor } from "../model/cursors.ts";
