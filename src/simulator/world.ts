/**
 * The world: clients, their Items, and their tokens. This file knows nothing about HTTP or webhooks.
 */
import { findInstitution, INSTITUTIONS, type Institution } from "./catalogue/institutions.ts";
import type { CustomUser } from "./custom/schema.ts";
import type { Plan } from "./history.ts";
import type { Item, Stage } from "./item.ts";
import { Market, type MarketState } from "./market.ts";
import { Random, type RandomState } from "./random.ts";
import { ProcessorTokens, type ProcessorToken } from "./processors.ts";
import { RecordStore, type RecordsState } from "./records/store.ts";

export interface Client {
  clientId: string;
  secret: string;
  /** where webhooks go that are about no Item, as configured in Plaid's Dashboard; absent or null: nowhere */
  webhook?: string | null | undefined;
  /** false: Plaid has not enabled its beta endpoints (/beta/…) for the client */
  beta?: boolean | undefined;
}

export interface ItemRequest {
  clientId: string;
  institution?: Institution | undefined;
  products: string[];
  /** products too where the institution has them */
  ifSupported?: readonly string[] | undefined;
  /** what the user consented to beside the products */
  consented?: readonly string[] | undefined;
  webhook: string | null;
  userId: string | null;
  plan: Plan;
  override?: CustomUser | null | undefined;
  stage: Stage;
  now: number;
}

export interface LinkToken {
  clientId: string;
  products: string[];
  ifSupported: readonly string[];
  consented: readonly string[];
  webhook: string | null;
  userId: string | null;
  days: number;
  /** update mode: the Item to repair */
  item: Item | null;
  /** further Items of the same session in update mode */
  alsoUpdated: readonly Item[];
  /** Plaid reports its sessions: by webhooks, and with all their events in /link/token/get */
  reported: boolean;
  /** one session may add several Items */
  multiItem: boolean;
  /** what else the request said, for the control */
  asked: Record<string, unknown>;
  createdAt: number;
  expiresAt: number;
}

export interface WorldState {
  itemsMade: number;
  tokens: RandomState;
  clients: Client[];
  items: Item[];
  market: MarketState;
  records: RecordsState;
  processors: ProcessorToken[];
}

interface PublicToken {
  item: Item;
  expiresAt: number;
}

const PUBLIC_TOKEN_LIFE_MS = 30 * 60_000;

export class World {
  readonly random: Random;
  readonly market: Market;
  /** what belongs to no Item */
  readonly records: RecordStore;
  readonly processors: ProcessorTokens;
  readonly clients = new Map<string, Client>();
  readonly items = new Map<string, Item>();
  readonly linkTokens = new Map<string, LinkToken>();
  #accessTokens = new Map<string, Item>();
  #publicTokens = new Map<string, PublicToken>();
  #itemsMade = 0;
  #tokens: Random;

  constructor(seed: string) {
    this.random = new Random(seed);
    this.#tokens = this.random.fork("tokens");
    this.market = new Market(this.random.fork("market"));
    this.records = new RecordStore(this.random.fork("records"));
    this.processors = new ProcessorTokens(this.random.fork("processor tokens"));
  }

  /** Everything that is kept over a restart. Link tokens and public tokens are not: they are valid for half an hour only. */
  save(): WorldState {
    return {
      itemsMade: this.#itemsMade,
      tokens: this.#tokens.save(),
      clients: [...this.clients.values()],
      items: [...this.items.values()],
      market: this.market.save(),
      records: this.records.save(),
      processors: this.processors.save(),
    };
  }

  /** A webhook URL that this start was given counts, since a receiver's port may differ from the last time. */
  restore({ itemsMade, tokens, clients, items, market, records, processors }: WorldState): void {
    this.#itemsMade = itemsMade;
    this.#tokens = Random.restore(tokens);
    this.market.restore(market);
    this.records.restore(records);
    this.processors.restore(processors);
    for (const client of clients) {
      this.addClient({ ...client, webhook: this.clients.get(client.clientId)?.webhook ?? client.webhook });
    }
    for (const item of items) {
      this.items.set(item.itemId, item);
      this.#accessTokens.set(item.accessToken, item);
    }
  }

  addClient(client: Client): void {
    this.clients.set(client.clientId, client);
  }

  createItem(request: ItemRequest): Item {
    this.#itemsMade += 1;
    const random = this.random.fork(`item/${this.#itemsMade}`);
    const institution = request.institution ?? random.pick(institutionsWith(request.products));
    const item: Item = {
      itemId: random.id(),
      accessToken: `access-sandbox-${random.uuid()}`,
      clientId: request.clientId,
      institution,
      createdAt: request.now,
      plan: request.plan,
      override: request.override ?? null,
      random,
      userId: request.userId,
      products: [
        ...request.products,
        ...(request.ifSupported ?? []).filter((one) => institution.products.includes(one)),
      ],
      consented: [...(request.consented ?? [])],
      webhook: request.webhook,
      stage: request.stage,
      error: null,
      consentEndsAt: null,
      revoked: false,
      removed: false,
      syncCalled: false,
      lastSuccess: request.stage === "HISTORICAL" ? request.now : null,
      lastFailure: null,
      lastWebhook: null,
      cursorEpoch: 0,
      book: null,
      shelf: {},
    };
    this.items.set(item.itemId, item);
    this.#accessTokens.set(item.accessToken, item);
    return item;
  }

  /** The Item of a token that is or was valid (a removed Item keeps its token, an invalidated token is deleted). */
  itemByToken(accessToken: string): Item | undefined {
    return this.#accessTokens.get(accessToken);
  }

  renewAccessToken(item: Item): string {
    this.#accessTokens.delete(item.accessToken);
    item.accessToken = `access-sandbox-${this.#tokens.uuid()}`;
    this.#accessTokens.set(item.accessToken, item);
    return item.accessToken;
  }

  createPublicToken(item: Item, now: number): string {
    const token = `public-sandbox-${this.#tokens.uuid()}`;
    this.#publicTokens.set(token, { item, expiresAt: now + PUBLIC_TOKEN_LIFE_MS });
    return token;
  }

  /** Exchanges a public token for its Item, once. */
  spendPublicToken(token: string, clientId: string, now: number): Item | "unknown" | "expired" {
    const found = this.#publicTokens.get(token);
    if (!found || found.item.clientId !== clientId) return "unknown";
    if (found.expiresAt <= now) return "expired";
    this.#publicTokens.delete(token);
    return found.item;
  }

  createLinkToken(link: LinkToken): string {
    const token = `link-sandbox-${this.#tokens.uuid()}`;
    this.linkTokens.set(token, link);
    return token;
  }

  institution(id: string): Institution | undefined {
    return findInstitution(id);
  }
}

/** US institutions that have all these products; all US institutions when none has. */
function institutionsWith(products: readonly string[]): readonly Institution[] {
  const american = INSTITUTIONS.filter((one) => one.country_codes.includes("US"));
  const having = american.filter((one) => products.every((product) => one.products.includes(product)));
  return having.length > 0 ? having : american;
}
