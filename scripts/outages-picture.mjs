/** Draws a webhook's way through the spool and the quarantine, as an SVG of docs/. */

const LINE = 16;
const BOX = { width: 204, height: 92 };
/** The left edges of the columns, and the upper edges of the rows. */
const X = [24, 272, 520, 784];
const Y = [56, 232, 408];
const SIZE = { width: 1012, height: 524 };
const COLOURS = { plain: "#94a3b8", good: "#15803d", spool: "#0891b2", unproven: "#a21caf", bad: "#b91c1c" };
const SMALL = 'font-size="12" fill="#475569"';

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const textAt = (x, y, lines, more = "") =>
  lines.map((line, n) => `<text x="${x}" y="${y + n * LINE}" ${more}>${escape(line)}</text>`).join("");

function box(column, row, colour, title, lines) {
  const [x, y] = [X[column], Y[row]];
  return [
    `<rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="8" fill="#fff" stroke="${COLOURS[colour]}" stroke-width="1.5"/>`,
    textAt(x + 12, y + 22, [title], `font-weight="700" fill="${colour === "plain" ? "#0f172a" : COLOURS[colour]}"`),
    textAt(x + 12, y + 42, lines, SMALL),
  ].join("\n  ");
}

const arrow = (d) => `<path d="${d}" fill="none" stroke="#64748b" stroke-width="1.5" marker-end="url(#tip)"/>`;
const right = (column) => X[column] + BOX.width;
const middle = (column) => X[column] + BOX.width / 2;
const under = (row) => Y[row] + BOX.height;

const boxes = (deadlineS) => [
  box(0, 0, "plain", "A webhook comes", ["Plaid's, signed, or your", "backend's, with its secret"]),
  box(1, 0, "plain", "Is it proven?", [
    "the key is in memory, in the",
    "cache on disk, in Postgres,",
    "or fetched from Plaid",
  ]),
  box(2, 0, "plain", "Does Postgres take it?", [
    `within ${deadlineS} seconds, and nothing`,
    "waits in the spool before it",
  ]),
  box(3, 0, "good", "Journal", ["200: stored, its work queued;", "sync and relay act on it"]),
  box(1, 1, "bad", "Not accepted", ["not proven: 401", "made-up key, no room: 503,", "and Plaid sends it again"]),
  box(2, 1, "spool", "Spool", [
    "200: in a synced file of the",
    "data directory, with its id",
    "and the time at which it came",
  ]),
  box(3, 1, "unproven", "Quarantine", ["200: unproven, in a table that", "nothing acts on"]),
  box(2, 2, "bad", "Kept aside", ["spool/refused, spool/later;", "in the log and the refusals"]),
  box(3, 2, "bad", "Refused", ["in the refusals; expiry is an", "event and an error in the log"]),
];

const arrows = (days) => [
  arrow(`M${right(0)} ${Y[0] + 46}H${X[1]}`),
  arrow(`M${right(1)} ${Y[0] + 46}H${X[2]}`),
  textAt(right(1) + 4, Y[0] - 24, ["yes, or its key cannot", "be fetched just now"], SMALL),
  arrow(`M${middle(1)} ${under(0)}V${Y[1]}`),
  textAt(middle(1) + 8, under(0) + 44, ["no"], SMALL),
  arrow(`M${right(2)} ${Y[0] + 36}H${X[3]}`),
  textAt(right(2) + 8, Y[0] + 28, ["proven"], SMALL),
  arrow(`M${right(2)} ${Y[0] + 66}H${right(2) + 24}V${Y[1] + 30}H${X[3]}`),
  textAt(right(2) + 30, under(0) + 24, ["unproven"], SMALL),
  arrow(`M${X[2] + 50} ${under(0)}V${Y[1]}`),
  textAt(X[2] + 26, under(0) + 44, ["no"], SMALL),
  arrow(`M${X[2] + 110} ${Y[1]}V${under(0)}`),
  textAt(X[2] + 118, under(0) + 36, ["drained in", "order, once"], SMALL),
  arrow(`M${X[2]} ${Y[1] + 46}H${right(1)}`),
  textAt(right(1) + 8, Y[1] + 38, ["full"], SMALL),
  arrow(`M${middle(3) + 30} ${Y[1]}V${under(0)}`),
  textAt(middle(3) + 38, under(0) + 36, ["its key", "proves it"], SMALL),
  arrow(`M${middle(2)} ${under(1)}V${Y[2]}`),
  textAt(middle(2) + 8, under(1) + 36, ["Postgres refuses a value,", "or knows no integration"], SMALL),
  arrow(`M${middle(3)} ${under(1)}V${Y[2]}`),
  textAt(middle(3) + 8, under(1) + 36, ["its key refuses it,", `or ${days} days are over`], SMALL),
];

/** @param days after which an unproven webhook expires @param deadlineS after which Postgres counts as away */
export function picture({ days, deadlineS }) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" font-family="ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="14" role="img" aria-labelledby="title">
  <title id="title">A proven webhook is journaled. While Postgres is away it goes to the spool, which is drained in order. A webhook whose key cannot be fetched waits in the quarantine until its key proves or refuses it.</title>
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
      <path d="M0 0L10 5L0 10z" fill="#64748b"/>
    </marker>
  </defs>
  <rect width="${SIZE.width}" height="${SIZE.height}" rx="14" fill="#f8fafc"/>
  ${boxes(deadlineS).join("\n  ")}
  ${arrows(days).join("\n  ")}
</svg>
`;
}
