/** Statements on a connection of their own, without the limits of Tartan's pool. Tests and benches both use it. */
import { Client } from "pg";

/** A statement's text, or its text and values. */
export type Statement = string | { text: string; values: unknown[] };

/** Runs the statements one after the other, each in a transaction of its own. */
export async function execute(url: string, ...statements: Statement[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
