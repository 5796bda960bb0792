/** What the tests of sync/ share: clients whose requests to Plaid a test can see and hold. */
import { systemClock } from "../../src/clock.ts";
import { createPlaidClient } from "../../src/plaid/client.ts";
import type { SyncOptions } from "../../src/sync/sync.ts";

/** Sees each request to Plaid, and lets it pass when it likes. */
type Gate = (path: string, body: { access_token?: string }, pass: () => Promise<void>) => Promise<void>;

/** Clients whose requests go through `gate`. */
export const gated =
  (gate: Gate): SyncOptions["clientFor"] =>
  ({ plaidUrl, clientId, secret }) => {
    const client = createPlaidClient({ baseUrl: plaidUrl, clientId, secret, timeoutMs: 10_000, clock: systemClock });
    return {
      ...client,
      post: async (path, body, signal) => {
        let answer: Awaited<ReturnType<typeof client.post>> | undefined;
        await gate(path, body, async () => {
          answer = await client.post(path, body, signal);
        });
        if (!answer) throw new Error("the gate let nothing through");
        return answer;
      },
    };
  };

/** Clients whose answers of one endpoint a test changes. */
export const answering =
  (endpoint: string, change: (answer: Record<string, unknown>) => object): SyncOptions["clientFor"] =>
  (integration) => {
    const client = gated((_path, _body, pass) => pass())(integration);
    return {
      ...client,
      post: async (path, body, signal) => {
        const answer = await client.post(path, body, signal);
        if (path !== endpoint) return answer;
        return { ...answer, text: JSON.stringify(change(JSON.parse(answer.text) as Record<string, unknown>)) };
      },
    };
  };
