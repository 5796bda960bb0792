/** Draws the states of an item and the ways between them, as an SVG of docs/. */

const LABEL = 26;
const LINE = 15;
const BOX = { width: 196, height: 92 };
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

const arrow = (d) => `<path d="${d}" fill="none" stroke="#64748b" stroke-width="1.5" marker-end="url(#tip)"/>`;

/** @param moves as life.ts has them: the picture has those that lead out of the frame, and into it */
export function picture({ STATES, MOVES, LIVE }) {
  const live = new Set(LIVE);
  const outside = Object.keys(PLACES).filter((status) => !live.has(status));
  const fromAll = (to) => LIVE.every((from) => MOVES.some((move) => move.from === from && move.to === to));
  const within = MOVES.filter(({ from, to }) => live.has(from) && live.has(to) && to !== "pending");
  if (within.length !== LIVE.length * (LIVE.length - 1) - (LIVE.length - 1))
    throw new Error("draw the ways between the states with a token: not each leads to each other any more");
  if (!outside.every(fromAll)) throw new Error("draw the ways out of the frame one by one");
  const goes = (from, to) => MOVES.some((move) => move.from === from && move.to === to);
  const [unlinked, ended, pending] = ["unlinked", "ended", "pending"].map((status) => corner(PLACES[status]));
  const right = unlinked.x + BOX.width;
  const frame = {
    x: pending.x - 18,
    y: TOP - 44,
    width: 3 * BOX.width + 2 * GAP.x + 36,
    height: 2 * BOX.height + GAP.y + 62,
  };
  const middle = { unlinked: unlinked.y + BOX.height / 2, ended: ended.y + BOX.height / 2 };
  const small = 'font-size="12" fill="#64748b"';
  const edges = [
    goes("unlinked", "pending") &&
      arrow(`M${right} ${middle.unlinked - 16}H${pending.x}`) +
        textAt(right + 10, middle.unlinked - 24, ["a token comes"], small),
    arrow(`M${frame.x} ${middle.unlinked + 24}H${right}`) +
      textAt(right + 10, middle.unlinked + 40, ["you unlink it"], small),
    arrow(`M${frame.x} ${middle.ended + 16}H${right}`) +
      textAt(right + 10, middle.ended + 32, ["Plaid has no", "such item"], small),
    goes("ended", "unlinked") &&
      arrow(`M${unlinked.x + 60} ${ended.y}V${unlinked.y + BOX.height}`) +
        textAt(unlinked.x + 70, ended.y - 16, ["you unlink it"], small),
    goes("ended", "pending") &&
      arrow(
        `M${right} ${middle.ended - 20}C${right + 70} ${middle.ended - 24} ${right + 50} ${middle.unlinked} ${pending.x} ${middle.unlinked + 4}`,
      ) + textAt(right + 10, middle.ended - 2, ["linked anew"], small),
  ].filter(Boolean);
  const size = { width: frame.x + frame.width + 24, height: frame.y + frame.height + 24 };
  const title = "An item is linked, a run decides its state from what Plaid answers, and it ends or is unlinked.";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" role="img" aria-labelledby="title">
  <title id="title">${title}</title>
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path d="M0 0L10 5L0 10z" fill="#64748b"/>
    </marker>
  </defs>
  <rect width="${size.width}" height="${size.height}" rx="14" fill="#f8fafc"/>
  <rect x="${frame.x}" y="${frame.y}" width="${frame.width}" height="${frame.height}" rx="12" fill="#fff" stroke="#cbd5e1"/>
  ${textAt(frame.x + 18, frame.y + 24, ["Each run decides between these, by the gravest failure. A token that comes again leads back to pending."], small)}
  ${Object.keys(PLACES)
    .map((status) => box(status, STATES[status].when))
    .join("\n  ")}
  ${edges.join("\n  ")}
</svg>
`;
}
