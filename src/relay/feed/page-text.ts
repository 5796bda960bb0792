/** The answer to who fetches from a feed. Its parts are JSON texts already: parsing would round their numbers. */
export const pageText = (texts: readonly string[], page: { next_cursor: string; more: boolean }): string =>
  `{"data":[${texts.join(",")}],"has_more":${page.more},"next_cursor":${JSON.stringify(page.next_cursor)}}`;

/** What the field means, for the reference. */
export const HAS_MORE =
  "False: you have everything that there is so far. True: ask again at once, since there may be more, also after an empty page, which " +
  "has searched a part.";
