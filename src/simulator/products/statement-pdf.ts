/**
 * A statement as a PDF file: one page of text, made of the statement alone, so the same statement is the same bytes. PDF 1.4,
 * ASCII only; the table at the end has the place of each object in the file (ISO 32000-1, 7.5).
 */
import { dayText } from "../days.ts";
import type { Item } from "../item.ts";
import type { Statement } from "./statements.ts";

export function statementPdf({ id, account, month, posted }: Statement, item: Item): string {
  return pdf([
    item.institution.name,
    `Statement of ${String((month % 12) + 1).padStart(2, "0")}/${Math.floor(month / 12)}`,
    `Account: ${account.kind.name} ${account.kind.mask ?? ""}`,
    `Posted: ${posted === null ? "unknown" : dayText(posted)}`,
    `Statement id: ${id}`,
    "Made by a simulator. This is no document of a bank.",
  ]);
}

function pdf(lines: readonly string[]): string {
  const page = ["BT /F1 12 Tf 16 TL 72 760 Td", ...lines.map((line) => `(${escaped(line)}) Tj T*`), "ET"].join("\n");
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
    `<< /Length ${page.length} >>\nstream\n${page}\nendstream`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  ];
  let text = "%PDF-1.4\n";
  const places = objects.map((object, n) => {
    const place = text.length;
    text += `${n + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join("");
  const size = objects.length + 1;
  return `${text}xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<< /Size ${size} /Root 1 0 R >>\nstartxref\n${text.length}\n%%EOF\n`;
}

/** Parentheses end a text, and other letters than ASCII would need an encoding. */
const escaped = (line: string): string => line.replaceAll(/[\\()]/g, "\\$&").replaceAll(/[^ -~]/g, "?");
