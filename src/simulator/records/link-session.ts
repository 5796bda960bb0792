/**
 * Sessions of Link (https://plaid.com/docs/api/link/#linktokenget). Several sessions may belong to one Link token: Plaid answers all
 * of them for the token. A client that Plaid reports sessions to is told when Items were added, what the user did, and the end.
 */
import { z } from "zod";
import { accountObject } from "../account.ts";
import { momentText } from "../days.ts";
import { bookOf, type Item } from "../item.ts";
import { errorObject, invalidLinkToken, ITEM_ERRORS } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import type { Simulation } from "../simulation.ts";
import type { WebhookNotice } from "../webhooks/notices.ts";
import type { LinkToken } from "../world.ts";
import { lastFour } from "./american.ts";
import { makeRecord } from "./changes.ts";
import { recordBook, type SimRecord } from "./record-book.ts";
import { drawUserItem } from "./user-items.ts";

type Plain = Record<string, unknown>;

interface Added {
  institutionId: string;
  institutionName: string;
  publicToken: string;
  accounts: Plain[];
}

export interface LinkSession {
  linkToken: string;
  /** usr_… or the client's own */
  userId: string | null;
  finishedAt: number | null;
  outcome: "SUCCESS" | "EXITED" | null;
  events: Plain[];
  added: Added[];
  /** what /link/token/get says of the token */
  token: { createdAt: number; expiresAt: number; products: readonly string[]; webhook: string | null };
}

const outcomes = z.enum(["SUCCESS", "EXITED"]);
const TOKEN_LIFE_MS = 4 * 3_600_000;

export const linkSession = recordBook<LinkSession>()({
  kind: "link_session",
  id: (random) => random.uuid(),
  making: {
    /** another session of a known Link token */
    link_token: z.string().optional(),
    user_id: z.string().optional(),
    /** Items that the user added; absent: `items` that nobody can exchange the tokens of, since they are in no world */
    item_ids: z.array(z.string()).optional(),
    items: z.int().min(0).max(10).default(1),
    /** how it ends; null: not yet */
    outcome: outcomes.nullable().default("SUCCESS"),
  },
  make: (given, { random, clientId, createdAt, webhook }, sim) => {
    const known = given.link_token === undefined ? undefined : tokenOf(sim, clientId, given.link_token);
    const state: LinkSession = {
      linkToken: given.link_token ?? `link-sandbox-${random.uuid()}`,
      userId: given.user_id ?? null,
      finishedAt: null,
      outcome: null,
      events: [eventOf(random, "OPEN", createdAt), eventOf(random, "SELECT_INSTITUTION", createdAt)],
      added: [],
      token: known ?? { createdAt, expiresAt: createdAt + TOKEN_LIFE_MS, products: ["transactions"], webhook },
    };
    if (given.outcome === "SUCCESS") {
      state.added = given.item_ids
        ? given.item_ids.map((id) => addedOf(sim, id))
        : Array.from({ length: given.items }, () => drawnOf(random));
    }
    if (given.outcome) finish(state, random, given.outcome, createdAt);
    return state;
  },
  made: (record) => noticesOf(record),
  changing: {
    /** the user does something more */
    events: z.int().min(0).max(20).default(0),
    outcome: outcomes.optional(),
  },
  change: (record, request, sim) => {
    const { state, random } = record;
    if (state.outcome !== null) return null;
    const now = sim.time.now();
    for (let n = 0; n < request.events; n += 1) state.events.push(eventOf(random, "TRANSITION_VIEW", now));
    if (request.outcome) finish(state, random, request.outcome, now);
    return noticesOf(record);
  },
  calm: ({ state }, random) =>
    state.outcome !== null ? null : random.chance(0.5) ? { events: 1 } : { outcome: random.pick(outcomes.options) },
  truth: (record, sim) => ({ link_sessions: tokenAnswer(sim, record) }),
  token: ({ linkToken }) => linkToken,
  unknown: () => invalidLinkToken(),
});

function finish(state: LinkSession, random: Random, outcome: "SUCCESS" | "EXITED", at: number): void {
  state.outcome = outcome;
  state.finishedAt = at;
  state.events.push(eventOf(random, outcome === "SUCCESS" ? "HANDOFF" : "EXIT", at));
}

/** Plaid's LinkEvent */
const eventOf = (random: Random, name: string, at: number): Plain => ({
  event_id: random.uuid(),
  event_metadata: { request_id: random.id(15), ...(name === "TRANSITION_VIEW" ? { view_name: "CREDENTIAL" } : {}) },
  event_name: name,
  timestamp: momentText(at),
});

/** An Item of the world, with a token that can be exchanged for it. */
function addedOf(sim: Simulation, itemId: string): Added {
  const item = sim.world.items.get(itemId);
  if (!item) throw invalidLinkToken();
  return {
    institutionId: item.institution.institution_id,
    institutionName: item.institution.name,
    publicToken: sim.world.createPublicToken(item, sim.time.now()),
    accounts: bookOf(item).accounts.map(sessionAccount),
  };
}

function drawnOf(random: Random): Added {
  const { institutionId, institutionName } = drawUserItem(random);
  const account = { id: random.id(), mask: lastFour(random), name: "Plaid Checking", subtype: "checking" };
  return {
    institutionId,
    institutionName,
    publicToken: `public-sandbox-${random.uuid()}`,
    accounts: [{ ...account, type: "depository", verification_status: null }],
  };
}

/** What is known of a Link token: from the token, or from an earlier session of it. */
function tokenOf(sim: Simulation, clientId: string, linkToken: string): LinkSession["token"] {
  const link = sim.world.linkTokens.get(linkToken);
  if (link?.clientId === clientId) {
    const { createdAt, expiresAt, products, webhook } = link;
    return { createdAt, expiresAt, products, webhook };
  }
  const earlier = sim.world.records.of(linkSession, clientId).find(({ state }) => state.linkToken === linkToken);
  if (!earlier) throw invalidLinkToken();
  return earlier.state.token;
}

/** Plaid's LinkSessionSuccessMetadataAccount */
function sessionAccount(account: Parameters<typeof accountObject>[0]): Plain {
  const { account_id, mask, name, subtype, type } = accountObject(account);
  return { id: account_id, mask, name, subtype, type, verification_status: null };
}

/**
 * Keeps a session that the control finished, and sends its webhooks where Plaid reports them.
 * @param items the Items that were added; none in update mode
 * @returns their public tokens
 */
export function finishSession(sim: Simulation, link_token: string, link: LinkToken, items: readonly Item[]): string[] {
  const { clientId, webhook, userId, reported } = link;
  const making = {
    link_token,
    ...(userId === null ? {} : { user_id: userId }),
    item_ids: items.map(({ itemId }) => itemId),
    items: 0,
    outcome: "SUCCESS",
  } as const;
  const { state } = makeRecord(sim, linkSession, clientId, making, { webhook, webhooks: reported && webhook !== null });
  return state.added.map(({ publicToken }) => publicToken);
}

/** Plaid's LinkTokenGetSessionsResponse */
export function sessionObject({ id, createdAt, state }: SimRecord<LinkSession>): Plain {
  const { added, events, finishedAt, outcome } = state;
  return {
    events,
    exit: outcome === "EXITED" ? exitOf(id) : null,
    finished_at: finishedAt === null ? null : momentText(finishedAt),
    link_session_id: id,
    on_exit: null,
    on_success: null,
    results:
      outcome === "SUCCESS"
        ? {
            bank_income_results: [],
            cra_item_add_results: [],
            cra_update_results: [],
            document_income_results: null,
            item_add_results: added.map((one) => ({
              accounts: one.accounts,
              institution: { institution_id: one.institutionId, name: one.institutionName },
              public_token: one.publicToken,
            })),
            payroll_income_results: [],
          }
        : null,
    started_at: momentText(createdAt),
  };
}

const exitOf = (id: string): Plain => ({
  error: errorObject(ITEM_ERRORS.ITEM_LOCKED),
  metadata: { institution: null, link_session_id: id, request_id: id.slice(0, 15), status: "requires_credentials" },
});

/** Plaid's LinkTokenGetResponse: all sessions of the token. */
export function tokenAnswer(sim: Simulation, { clientId, state }: SimRecord<LinkSession>): Plain {
  const { linkToken, token, userId } = state;
  const sessions = sim.world.records.of(linkSession, clientId).filter((one) => one.state.linkToken === linkToken);
  return { ...tokenFacts(linkToken, token, userId), link_sessions: sessions.map(sessionObject) };
}

export const tokenFacts = (linkToken: string, token: LinkSession["token"], userId: string | null): Plain => ({
  created_at: momentText(token.createdAt),
  expiration: momentText(token.expiresAt),
  link_token: linkToken,
  metadata: {
    client_name: "Tartan",
    country_codes: ["US"],
    initial_products: token.products,
    language: "en",
    redirect_uri: null,
    webhook: token.webhook,
  },
  ...(userId?.startsWith("usr_") ? { user_id: userId } : {}),
});

/** All that Plaid would have sent about the session until now. */
function noticesOf({ id, state }: SimRecord<LinkSession>): WebhookNotice[] {
  const about = { link_session_id: id, link_token: state.linkToken };
  const link = (code: string, fields: Plain): WebhookNotice => ({
    type: "LINK",
    code,
    fields: { ...about, ...fields },
  });
  const tokens = state.added.map(({ publicToken }) => publicToken);
  return [
    ...(state.outcome === "SUCCESS" ? tokens.map((public_token) => link("ITEM_ADD_RESULT", { public_token })) : []),
    link("EVENTS", { events: state.events }),
    ...(state.outcome
      ? [
          link("SESSION_FINISHED", {
            public_tokens: tokens,
            status: state.outcome,
            ...(state.userId?.startsWith("usr_") ? { user_id: state.userId } : {}),
          }),
        ]
      : []),
  ];
}
