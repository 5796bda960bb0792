/** Draws the states of an item and the ways between them, as an SVG of docs/. */

const LABEL = 26;
const LINE = 15;
const BOX = { width: 196, height: 104 };
/** Where each state stands: its column and row. The states that a run decides between stand in the frame. */
const PLACES = {
  unlinked: [0, 0],
  pending: [1, 0],
  ok: [2, 0],
  waiting: [3, 0],
  retrying: [1, 1],
  needs_user: [2, 1],
  misconfigured: [3, 1],
  ended: [0, 1],
};
const COLOURS = {
  pending: "#0891b2",
  ok: "#15803d",
  waiting: "#0891b2",
  retrying: "#b45309",
  needs_user: "#a21caf",
  misconfigured: "#b91c1c",
  ended: "#64748b",
  unlinked: "#b45309",
};
const GAP = { x: 28, y: 44, aside: 120 };
const TOP = 84;

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("`", "");

const corner = ([column, row]) => ({
  x: 24 + column * (BOX.width + GAP.x) + (column > 0 ? GAP.aside : 0),
  y: TOP + row * (BOX.height + GAP.y),
});

function wrapped(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const next = `${lines.at(-1)} ${word}`.trim();
    if (next.length > width) lines.push(word);
    else lines[lines.length - 1] = next;
  }
  return lines;
}

const textAt = (x, y, lines, more = "") =>
  lines.map((line, n) => `<text x="${x}" y="${y + n * LINE}" ${more}>${escape(line)}</text>`).join("");

function box(status, when) {
  const { x, y } = corner(PLACES[status]);
  return [
    `<rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="8" fill="#fff" stroke="${COLOURS[status]}" stroke-width="1.5"/>`,
    textAt(x + 12, y + 22, [status], `font-weight="700" fill="${COLOURS[status]}"`),
    textAt(x + 12, y + 41, wrapped(when, LABEL).slice(0, 4), 'font-size="12" fill="#334155"'),
  ].join("\n  ");
}

const arrow = (d, more = "") =>
  `<path d="${d}" fill="none" stroke="#64748b" stroke-width="1.5" marker-end="url(#tip)"${more}/>`;

const { unlinked, ended, pending } = Object.fromEntries(
  ["unlinked", "ended", "pending"].map((status) => [status, corner(PLACES[status])]),
);
const RIGHT = unlinked.x + BOX.width;
const MIDDLE = { unlinked: unlinked.y + BOX.height / 2, ended: ended.y + BOX.height / 2 };
/** Around the states that a run decides between. */
const FRAME = {
  x: pending.x - 18,
  y: TOP - 44,
  width: 3 * BOX.width + 2 * GAP.x + 36,
  height: 2 * BOX.height + GAP.y + 62,
};
const SMALL = 'font-size="12" fill="#64748b"';
const aside = (y, lines) => textAt(RIGHT + 10, y, lines, SMALL);

/** @throws when the ways are no longer those that the picture has: all within the frame, and from all of it to each state outside */
function expectFrame({ MOVES, LIVE }) {
  const live = new Set(LIVE);
  const within = MOVES.filter(({ from, to }) => live.has(from) && live.has(to) && to !== "pending");
  if (within.length !== (LIVE.length - 1) ** 2)
    throw new Error("draw the ways between the states with a token: not each leads to each other any more");
  for (const to of Object.keys(PLACES).filter((status) => !live.has(status)))
    if (!LIVE.every((from) => MOVES.some((move) => move.from === from && move.to === to)))
      throw new Error(`draw the ways to ${to} one by one`);
  if (!LIVE.every((to) => to === "pending" || MOVES.some((move) => move.from === "ended" && move.to === to)))
    throw new Error("draw the ways from ended one by one");
}

/** The ways out of the frame, into it, and outside. */
function edges(MOVES) {
  const goes = (from, to) => MOVES.some((move) => move.from === from && move.to === to);
  const linkedAnew = `M${RIGHT} ${MIDDLE.ended - 20}C${RIGHT + 70} ${MIDDLE.ended - 24} ${RIGHT + 50} ${MIDDLE.unlinked} ${pending.x} ${MIDDLE.unlinked + 4}`;
  return [
    goes("unlinked", "pending") && arrow(`M${RIGHT} ${MIDDLE.unlinked - 16}H${pending.x}`),
    goes("unlinked", "pending") && aside(MIDDLE.unlinked - 24, ["a token comes"]),
    arrow(`M${FRAME.x} ${MIDDLE.unlinked + 24}H${RIGHT}`),
    aside(MIDDLE.unlinked + 17, ["you unlink it"]),
    arrow(`M${FRAME.x} ${MIDDLE.ended + 10}H${RIGHT}`, ' marker-start="url(#tip)"'),
    aside(MIDDLE.ended + 25, ["Plaid has no such", "item, or, asked", "again, has it"]),
    goes("ended", "unlinked") && arrow(`M${unlinked.x + 60} ${ended.y}V${unlinked.y + BOX.height}`),
    goes("ended", "unlinked") && textAt(unlinked.x + 70, ended.y - 16, ["you unlink it"], SMALL),
    goes("ended", "pending") && arrow(linkedAnew),
    goes("ended", "pending") && aside(MIDDLE.ended - 2, ["linked anew"]),
  ].filter(Boolean);
}

/** The picture of the states and the ways of life.ts. */
export function picture({ STATES, MOVES, LIVE }) {
  expectFrame({ MOVES, LIVE });
  const size = { width: FRAME.x + FRAME.width + 24, height: FRAME.y + FRAME.height + 24 };
  const sentence =
    "Each run decides between these, by the gravest failure. A token that comes again leads back to pending.";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" role="img" aria-labelledby="title">
  <title id="title">An item is linked, a run decides its state from what Plaid answers, and it ends or is unlinked.</title>
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path d="M0 0L10 5L0 10z" fill="#64748b"/>
    </marker>
  </defs>
  <rect width="${size.width}" height="${size.height}" rx="14" fill="#f8fafc"/>
  <rect x="${FRAME.x}" y="${FRAME.y}" width="${FRAME.width}" height="${FRAME.height}" rx="12" fill="#fff" stroke="#cbd5e1"/>
  ${textAt(FRAME.x + 18, FRAME.y + 24, [sentence], SMALL)}
  ${Object.keys(PLACES)
    .map((status) => box(status, STATES[status].when))
    .join("\n  ")}
  ${edges(MOVES).join("\n  ")}
</svg>
`;
}
