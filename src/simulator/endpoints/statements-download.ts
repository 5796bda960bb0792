/** POST /statements/download: the PDF of one statement, with its SHA-256 in a header. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { invalidStatementId } from "../plaid-error.ts";
import { statementPdf } from "../products/statement-pdf.ts";
import { statements } from "../products/statements.ts";
import { FileAnswer } from "./endpoint.ts";
import { productEndpoint } from "./product-endpoint.ts";

export const statementsDownload = productEndpoint(
  "/statements/download",
  statements,
  { statement_id: z.string() },
  ({ list }, item, body) => {
    const found = list.find((one) => one.id === body.statement_id);
    if (!found) throw invalidStatementId();
    const text = statementPdf(found, item);
    const hash = createHash("sha256").update(text).digest("hex");
    return new FileAnswer(text, "application/pdf", { "plaid-content-hash": hash });
  },
  { perClient: 50, code: "RATE_LIMIT" },
);
