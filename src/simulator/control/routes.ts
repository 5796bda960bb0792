/**
 * The control over HTTP: /_simulator/*, JSON in and out, errors as {"error":{"code","message","fields"?}}.
 */
import { errorBody, TartanError } from "../../errors.ts";
import { PLAID_PATHS } from "../plaid-api.ts";
import { BOOKS, type BookName } from "../products/index.ts";
import type { RecordKind } from "../records/index.ts";
import type { Control } from "./control.ts";
import { activityInput, badInput, check } from "./inputs.ts";

export const CONTROL_PREFIX = "/_simulator";

interface Found {
  control: Control;
  /** the values of the :names in the path, in order */
  names: string[];
  query: Record<string, string>;
  body: never;
}

type Handler = (found: Found) => unknown;

/** JSON text that needs no more work */
class Text {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

const first = ({ names }: Found): string => names[0] ?? "";
const second = ({ names }: Found): string => names[1] ?? "";
/** The control refuses a kind that it does not know. */
const kindIn = (found: Found) => first(found) as RecordKind;

/** a pair for each product book */
const bookRoutes = (Object.keys(BOOKS) as BookName[]).map((name): Record<string, Handler> => ({
  [`GET /items/:item_id/${name}`]: (found) => found.control.truth(first(found), name),
  [`POST /items/:item_id/${name}`]: (found) => found.control.change(first(found), name, found.body),
}));

const ROUTES: Record<string, Handler> = {
  "GET /": () => ({
    control: Object.keys(ROUTES).map((route) => route.replace(" ", ` ${CONTROL_PREFIX}`)),
    plaid: PLAID_PATHS,
  }),
  "GET /items": ({ control }) => control.items(),
  "POST /items": ({ control, body }) => control.createItems(body),
  "GET /items/:item_id": (found) => found.control.item(first(found)),
  "GET /items/:item_id/accounts": (found) => found.control.accounts(first(found)),
  "GET /items/:item_id/transactions": (found) => new Text(found.control.transactionsText(first(found))),
  "POST /items/:item_id/transactions": (found) => found.control.changeTransactions(first(found), found.body),
  ...Object.assign({}, ...bookRoutes),
  "POST /items/:item_id/break": (found) => found.control.breakItem(first(found), found.body),
  "POST /items/:item_id/repair": (found) => found.control.repairItem(first(found), found.body),
  "POST /items/:item_id/revoke": (found) => found.control.revokeItem(first(found), found.body),
  "POST /items/:item_id/revoke_account": (found) => found.control.revokeAccount(first(found), found.body),
  "POST /items/:item_id/consent": (found) => found.control.limitConsent(first(found), found.body),
  "POST /items/:item_id/announce_disconnect": (found) => found.control.announceDisconnect(first(found), found.body),
  "POST /items/:item_id/add_account": (found) => found.control.addAccount(first(found), found.body),
  "GET /records/:kind": (found) => found.control.records.list(kindIn(found)),
  "POST /records/:kind": (found) => found.control.records.create(kindIn(found), found.body),
  "GET /records/:kind/:id": (found) =>
    found.control.records.get(kindIn(found), second(found), found.query["client_id"]),
  "POST /records/:kind/:id": (found) =>
    found.control.records.change(kindIn(found), second(found), found.body, found.query["client_id"]),
  "GET /links/:link_token": (found) => found.control.linkToken(first(found)),
  "POST /links": ({ control, body }) => control.completeLink(body),
  "POST /clients": ({ control, body }) => control.addClient(body),
  "GET /clock": ({ control }) => control.clock(),
  "POST /clock": ({ control, body }) => control.advanceClock(body),
  "POST /keys/rotate": ({ control, body }) => control.rotateKeys(body),
  "GET /faults": ({ control }) => control.faults(),
  "POST /faults": ({ control, body }) => control.addFault(body),
  "DELETE /faults": ({ control }) => control.clearFaults(),
  "DELETE /faults/:fault_id": (found) => found.control.clearFaults(first(found)),
  "GET /webhooks": ({ control, query }) => control.webhooks(query),
  "POST /webhooks": ({ control, body }) => control.sendWebhook(body),
  "POST /webhooks/sign": ({ control, body }) => control.signWebhook(body),
  "GET /requests": ({ control }) => control.requests(),
  "GET /idle": async ({ control }) => {
    await control.idle();
    return { idle: true };
  },
  "POST /activity": ({ control, body }) => {
    const { every_ms: everyMs, ...rest } = check(activityInput, body);
    return control.startActivity({ everyMs, ...rest });
  },
  "DELETE /activity": ({ control }) => control.stopActivity(),
};

const compiled = Object.entries(ROUTES).map(([route, handler]) => {
  const [method = "", pattern = ""] = route.split(" ");
  return { method, pattern: new RegExp(`^${pattern.replace(/:\w+/g, "([^/]+)")}$`), handler };
});

/** Answers one control request; never throws. */
export async function answerControl(
  control: Control,
  method: string,
  url: string,
  body: string,
): Promise<{ status: number; text: string }> {
  try {
    const { pathname, searchParams } = new URL(url, "http://simulator");
    const path = pathname.slice(CONTROL_PREFIX.length) || "/";
    const matching = compiled.filter(({ pattern }) => pattern.test(path));
    const route = matching.find((one) => one.method === method);
    if (!route) throw unknownRoute(method, pathname, matching.length > 0);
    const names = (route.pattern.exec(path) ?? []).slice(1).map(decodeURIComponent);
    const query = Object.fromEntries(searchParams);
    const result = await route.handler({ control, names, query, body: readJson(body) });
    return { status: 200, text: result instanceof Text ? result.text : JSON.stringify(result) };
  } catch (error) {
    const failure = error instanceof TartanError ? error : new TartanError("internal", "the simulator failed");
    return { status: failure.status, text: JSON.stringify(errorBody(failure)) };
  }
}

function unknownRoute(method: string, path: string, otherMethod: boolean): TartanError {
  return otherMethod
    ? new TartanError("method_not_allowed", `${path} does not accept ${method}`)
    : new TartanError("not_found", `there is no ${path}: GET ${CONTROL_PREFIX} lists the control paths`);
}

/** `never`, because each control method checks its input itself. */
function readJson(body: string): never {
  if (body.trim() === "") return {} as never;
  try {
    return JSON.parse(body) as never;
  } catch {
    throw badInput({ body: "is not JSON" });
  }
}
