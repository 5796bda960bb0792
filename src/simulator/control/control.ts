/**
 * Controls the world: makes Items, changes the truth, breaks and repairs Items, moves the clock, and shows the truth. The
 * HTTP paths under /_simulator call these methods with the same input and answer their result (routes.ts).
 */
import type { z } from "zod";
import { TartanError } from "../../errors.ts";
import { accountObject, type Account } from "../account.ts";
import { kindOfSubtype } from "../catalogue/accounts.ts";
import { momentText } from "../days.ts";
import { change } from "../changes.ts";
import { postOnDays } from "../custom/posting.ts";
import { loginAt } from "./login.ts";
import { faultSchema, type FaultInput, type ActiveFault } from "../faults.ts";
import {
  addAccount,
  announceDisconnect,
  breakItem,
  limitConsent,
  repairItem,
  revokeAccount,
  revokeItem,
} from "../health.ts";
import { bookOf, itemObject, statusObject, type Item } from "../item.ts";
import { planFor } from "../history.ts";
import { beginProducts } from "../link.ts";
import type { Simulation } from "../simulation.ts";
import type { BookName } from "../products/index.ts";
import { transactionsText } from "../transaction-text.ts";
import { newestFirst } from "../transactions.ts";
import type { SentFilter, SentWebhook } from "../webhooks/log.ts";
import { Activity } from "./activity.ts";
import { completeLink, describeLink, type CompletedLink } from "./links.ts";
import { RecordControl } from "./records.ts";
import { changeTruth, truthOf, type BookChange, type BookInput } from "./books.ts";
import { brief, resultOf, type ChangeResult } from "./results.ts";
import * as inputs from "./inputs.ts";
import { sendWebhook, signContent, type SignedWebhook } from "./webhooks.ts";

export class Control {
  readonly #sim: Simulation;
  readonly #activity: Activity;
  /** what belongs to no Item, such as payments */
  readonly records: RecordControl;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.records = new RecordControl(sim);
    this.#activity = new Activity(sim);
  }

  /** Makes Items with a complete history, as if linked long ago (`ready: false`: linked now). */
  createItems(input: z.input<typeof inputs.itemsInput> = {}): { items: { item_id: string; access_token: string }[] } {
    const request = inputs.check(inputs.itemsInput, input);
    const { world, time } = this.#sim;
    const clientId = this.#clientId(request.client_id);
    const institution = this.#institution(request.institution_id);
    const { override } = request.user === "user_custom" ? loginAt(request) : { override: null };
    const plan =
      request.user === "user_transactions_dynamic"
        ? planFor(request.user, request.days)
        : { username: request.user, transactions: request.transactions, days: request.days };
    const items = [];
    for (let i = 0; i < request.count; i += 1) {
      const item = world.createItem({
        clientId,
        institution,
        plan,
        override,
        products: request.products,
        consented: request.consented_products,
        webhook: request.webhook,
        userId: request.user_id,
        stage: request.ready ? "HISTORICAL" : "NONE",
        now: time.now(),
      });
      this.#sim.settle(item);
      postOnDays(this.#sim, item);
      beginProducts(this.#sim, item, request.ready);
      items.push({ item_id: item.itemId, access_token: item.accessToken });
    }
    return { items };
  }

  /** Finishes a Link session: new Items and their public tokens, or in update mode the repaired Items. */
  completeLink(input: z.input<typeof inputs.linkInput>): CompletedLink {
    const request = inputs.check(inputs.linkInput, input);
    return completeLink(this.#sim, request, this.#institution(request.institution_id));
  }

  /** What a Link token was made with. */
  linkToken(linkToken: string): Record<string, unknown> {
    return describeLink(this.#sim, linkToken);
  }

  /** Adds a client, or changes the secret and the webhook URL of one. */
  addClient(input: z.input<typeof inputs.clientInput>): { client_id: string } {
    const { client_id, secret, webhook, beta } = inputs.check(inputs.clientInput, input);
    const known = this.#sim.world.clients.get(client_id);
    this.#sim.world.addClient({
      clientId: client_id,
      secret,
      webhook: webhook === undefined ? known?.webhook : webhook,
      beta: beta ?? known?.beta,
    });
    return { client_id };
  }

  items(): { items: Record<string, unknown>[] } {
    return { items: [...this.#sim.world.items.values()].map(brief) };
  }

  /** The truth about an Item: Plaid's objects, and what Plaid does not show. */
  item(itemId: string): Record<string, unknown> {
    const item = this.#item(itemId);
    const book = item.removed ? null : bookOf(item);
    return {
      ...brief(item),
      item: itemObject(item),
      status: statusObject(item),
      accounts: book?.accounts.length ?? 0,
      transactions: book?.log.live.length ?? 0,
    };
  }

  accounts(itemId: string): { accounts: Record<string, unknown>[] } {
    const item = this.#item(itemId);
    return { accounts: item.removed ? [] : bookOf(item).accounts.map(accountObject) };
  }

  /** All transactions, newest first, as Plaid shows them. */
  transactions(itemId: string): { transactions: Record<string, unknown>[] } {
    return JSON.parse(this.transactionsText(itemId)) as { transactions: Record<string, unknown>[] };
  }

  transactionsText(itemId: string): string {
    const item = this.#item(itemId);
    return `{"transactions":${item.removed ? "[]" : transactionsText(newestFirst(bookOf(item)))}}`;
  }

  changeTransactions(itemId: string, input: z.input<typeof inputs.changeInput>): ChangeResult {
    const request = inputs.check(inputs.changeInput, input);
    const item = this.#living(itemId);
    if (item.stage === "NONE" || item.stage === "NOT_READY") {
      throw new TartanError("conflict", "the Item has no history yet: advance the clock, or make it with ready: true");
    }
    const book = bookOf(item);
    if (book.accounts.length === 0) {
      throw new TartanError(
        "conflict",
        "the Item has no account left, so it has no transactions: add an account first",
      );
    }
    const summary = change(
      book,
      {
        add: request.add,
        addPending: request.add_pending,
        modify: request.modify,
        remove: request.remove,
        postPending: request.post_pending === "all" ? book.log.pending.size : request.post_pending,
        account: request.account_id === undefined ? undefined : this.#account(item, request.account_id),
      },
      this.#sim.today(),
    );
    item.lastSuccess = this.#sim.time.now();
    if (request.webhooks) this.#sim.announce(item, summary);
    return resultOf(summary);
  }

  /** The truth of a product book, such as `holdings`, in Plaid's shapes; empty where Plaid has nothing to show. */
  truth(itemId: string, name: BookName): Record<string, unknown> {
    return truthOf(this.#sim, this.#item(itemId), name);
  }

  /** Changes the truth of a product book, and sends the webhook. */
  change<N extends BookName>(itemId: string, name: N, input: BookInput<N>): BookChange<N> {
    return changeTruth(this.#sim, this.#living(itemId), name, input);
  }

  breakItem(itemId: string, input: z.input<typeof inputs.breakInput> = {}): { item_id: string; error_code: string } {
    const { error_code, webhooks } = inputs.check(inputs.breakInput, input);
    breakItem(this.#sim, this.#living(itemId), error_code, webhooks);
    return { item_id: itemId, error_code };
  }

  repairItem(itemId: string, input: z.input<typeof inputs.quietInput> = {}): { item_id: string } {
    repairItem(this.#sim, this.#living(itemId), inputs.check(inputs.quietInput, input).webhooks);
    return { item_id: itemId };
  }

  /** Says when the consent of its user ends; a session in update mode renews it. */
  limitConsent(itemId: string, input: z.input<typeof inputs.consentInput>): { consent_expiration_time: string | null } {
    const { ends_in_s, webhooks } = inputs.check(inputs.consentInput, input);
    const item = this.#living(itemId);
    limitConsent(this.#sim, item, ends_in_s === null ? null : this.#sim.time.now() + ends_in_s * 1000, webhooks);
    return { consent_expiration_time: itemObject(item)["consent_expiration_time"] as string | null };
  }

  /** Announces that the institution will disconnect the Item. */
  announceDisconnect(itemId: string, input: z.input<typeof inputs.disconnectInput> = {}): { disconnect_time: string } {
    const at = this.#sim.time.now() + inputs.check(inputs.disconnectInput, input).in_s * 1000;
    announceDisconnect(this.#sim, this.#living(itemId), at);
    return { disconnect_time: momentText(at) };
  }

  revokeItem(itemId: string, input: z.input<typeof inputs.quietInput> = {}): { item_id: string } {
    revokeItem(this.#sim, this.#living(itemId), inputs.check(inputs.quietInput, input).webhooks);
    return { item_id: itemId };
  }

  revokeAccount(itemId: string, input: z.input<typeof inputs.revokeAccountInput> = {}): { account_id: string } {
    const request = inputs.check(inputs.revokeAccountInput, input);
    const item = this.#living(itemId);
    const { accounts, random } = bookOf(item);
    if (accounts.length === 0) throw new TartanError("conflict", "the Item has no account left");
    const account = request.account_id === undefined ? random.pick(accounts) : this.#account(item, request.account_id);
    revokeAccount(this.#sim, item, account, request.webhooks);
    return { account_id: account.id };
  }

  addAccount(itemId: string, input: z.input<typeof inputs.addAccountInput> = {}): { account_id: string } {
    const request = inputs.check(inputs.addAccountInput, input);
    const { shared, webhooks } = request;
    const kind = kindOfSubtype(request.subtype ?? "");
    const account = addAccount(this.#sim, this.#living(itemId), { shared, webhooks, kind });
    if (shared && request.transactions > 0) {
      this.changeTransactions(itemId, {
        add: request.transactions,
        account_id: account.id,
        webhooks: request.webhooks,
      });
    }
    return { account_id: account.id };
  }

  clock(): { now: string } {
    return { now: new Date(this.#sim.time.now()).toISOString() };
  }

  /** Resolves when everything due until then has happened and every webhook attempt that it caused was answered. */
  async advanceClock(input: z.input<typeof inputs.clockInput>): Promise<{ now: string }> {
    await this.#sim.time.advance(inputs.check(inputs.clockInput, input).advance_s * 1000);
    return this.clock();
  }

  rotateKeys(input: z.input<typeof inputs.rotateInput> = {}): { kid: string; old_kid: string } {
    const { expire_old } = inputs.check(inputs.rotateInput, input);
    const { current, old } = this.#sim.keys.rotate(this.#sim.time.now(), expire_old);
    return { kid: current.kid, old_kid: old.kid };
  }

  addFault(input: FaultInput): ActiveFault {
    return this.#sim.faults.add(inputs.check(faultSchema, input));
  }

  faults(): { faults: ActiveFault[] } {
    return { faults: this.#sim.faults.all() };
  }

  /** Deletes one fault, or all of them. */
  clearFaults(faultId?: string): { cleared: number } {
    return { cleared: this.#sim.faults.clear(faultId) };
  }

  /** The sent webhooks, oldest first, with their answers. */
  webhooks(filter: SentFilter = {}): { webhooks: SentWebhook[]; total: number } {
    const { log } = this.#sim.sender;
    return { webhooks: log.find(inputs.check(inputs.sentFilter, filter)), total: log.total };
  }

  /** Sends an authentic webhook, or one with exactly the flaw that you name. */
  sendWebhook(input: z.input<typeof inputs.sendInput>): SentWebhook {
    return sendWebhook(this.#sim, inputs.check(inputs.sendInput, input));
  }

  /** Makes and signs a webhook without sending it: for load generators. */
  signWebhook(input: z.input<typeof inputs.signInput>): SignedWebhook {
    return signContent(this.#sim, inputs.check(inputs.signInput, input));
  }

  /** Requests answered so far, by path. */
  requests(): { requests: Record<string, number> } {
    return { requests: Object.fromEntries(this.#sim.requests) };
  }

  /** Resolves when no webhook attempt is queued or in flight; planned retries do not count. */
  idle(): Promise<void> {
    return this.#sim.time.idle();
  }

  /** Starts small random changes, in real time, until they are stopped. */
  startActivity({ everyMs, items, records }: { everyMs?: number; items?: number; records?: number } = {}): z.output<
    typeof inputs.activityInput
  > {
    const request = inputs.check(inputs.activityInput, { every_ms: everyMs, items, records });
    this.#activity.start(request.every_ms, request);
    return request;
  }

  stopActivity(): { stopped: boolean } {
    return { stopped: this.#activity.stop() };
  }

  #item(itemId: string): Item {
    const item = this.#sim.world.items.get(itemId);
    if (!item)
      throw new TartanError("not_found", "no Item has this item_id", { fields: { item_id: "is unknown here" } });
    return item;
  }

  #living(itemId: string): Item {
    const item = this.#item(itemId);
    if (item.removed || item.revoked) {
      throw new TartanError(
        "conflict",
        `the Item was ${item.removed ? "removed" : "revoked"}: nothing can happen to it`,
      );
    }
    return item;
  }

  #account(item: Item, accountId: string): Account {
    const account = bookOf(item).accounts.find((one) => one.id === accountId);
    if (!account) throw inputs.badInput({ account_id: "is not an account of this Item" });
    return account;
  }

  #clientId(requested: string | undefined): string {
    const { clients } = this.#sim.world;
    if (requested !== undefined && !clients.has(requested))
      throw inputs.badInput({ client_id: "is not a client here" });
    return requested ?? ([...clients.keys()][0] as string);
  }

  #institution(id: string | undefined) {
    if (id === undefined) return undefined;
    const found = this.#sim.world.institution(id);
    if (!found) throw inputs.badInput({ institution_id: "is not one of the simulator's: see /institutions/get" });
    return found;
  }
}
