/** The official SDK pointed at a simulator, and what its calls came to. */
import { Configuration, PlaidApi } from "plaid";
import type { Simulator } from "../../../src/simulator/index.ts";

export const sdkFor = (
  simulator: Simulator,
  credentials = { clientId: simulator.clientId, secret: simulator.secret },
) =>
  new PlaidApi(
    new Configuration({
      basePath: simulator.url,
      baseOptions: { headers: { "PLAID-CLIENT-ID": credentials.clientId, "PLAID-SECRET": credentials.secret } },
    }),
  );

export interface Refusal {
  status: number;
  error_type: string;
  error_code: string;
  error_message: string;
  request_id: string;
}

/** The error object of a call that must fail. */
export async function refusal(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
  } catch (error) {
    const { response } = error as { response?: { status: number; data: Omit<Refusal, "status"> } };
    if (response) return { ...response.data, status: response.status };
    throw error;
  }
  throw new Error("the call was expected to be refused");
}

/** POST without the SDK, so that anything can be sent. */
export async function post(
  simulator: Simulator,
  path: string,
  body: unknown,
  headers: Record<string, string> = { "plaid-client-id": simulator.clientId, "plaid-secret": simulator.secret },
): Promise<{ status: number; text: string; body: Record<string, unknown> }> {
  const answer = await fetch(simulator.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    text,
    body: text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}
