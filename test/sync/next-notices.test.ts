/** Which notices an item has after a run. Pure: the paths through webhooks and Plaid are in item-notices.test.ts. */
import { describe, expect, it } from "vitest";
import { nextNotices, timeOf, type Announcement, type News, type Notice } from "../../src/sync/next-notices.ts";

const at = (days: number): Date => new Date(Date.UTC(2026, 10, 1) + days * 86_400_000);
const NOW = at(10);
const WELL = { error: null, consent_expiration_time: null, products: ["transactions"] };
const BROKEN = { ...WELL, error: { error_type: "ITEM_ERROR", error_code: "ITEM_LOGIN_REQUIRED" } };

const news = (more: Partial<News>): News => ({
  now: NOW,
  announcements: [],
  repairs: [],
  item: WELL,
  before: null,
  accountsAdded: false,
  accounts: null,
  ...more,
});
const announced = (kind: Notice["kind"], more: Partial<Announcement> = {}): Announcement => ({
  kind,
  about: "",
  at: at(9),
  until: null,
  details: {},
  webhookId: "w",
  ...more,
});
const notice = (kind: Notice["kind"], more: Partial<Notice> = {}): Notice => ({
  kind,
  about: "",
  since: at(5),
  announcedAt: at(5),
  until: null,
  details: {},
  webhookId: "w",
  ...more,
});
const after = (before: Notice[], more: Partial<News>): { open: string[]; cleared: string[]; noticed: string[] } => {
  const next = nextNotices(before, news(more));
  return {
    open: next.open.map(({ kind }) => kind),
    cleared: next.cleared.map(({ notice: { kind }, by }) => `${kind} ${by}`),
    noticed: next.noticed.map(({ kind }) => kind),
  };
};
const ALL = [
  notice("consent_expiring", { until: at(12) }),
  notice("disconnect_pending", { until: at(12) }),
  notice("new_accounts"),
  notice("permissions_required", { about: "auth", details: { listed: false } }),
  notice("account_revoked", { about: "a", until: at(35) }),
];

describe("a repair", () => {
  it("LOGIN_REPAIRED clears what the login was about, and your ITEM/UPDATED and a session in update mode clear everything", () => {
    expect(after(ALL, { repairs: [{ by: "login_repaired", at: at(9) }] })).toEqual({
      open: ["new_accounts", "permissions_required", "account_revoked"],
      cleared: ["consent_expiring login_repaired", "disconnect_pending login_repaired"],
      noticed: [],
    });
    for (const by of ["item_updated", "link_session"] as const)
      expect(after(ALL, { repairs: [{ by, at: at(9) }] })).toEqual({
        open: [],
        cleared: ALL.map(({ kind }) => `${kind} ${by}`),
        noticed: [],
      });
  });

  it("a repair clears nothing that was announced after it, nor anything while Plaid does not answer or names an error for the user", () => {
    const later = [notice("disconnect_pending", { announcedAt: at(9), until: at(16) })];
    const repairs = [{ by: "item_updated" as const, at: at(8) }];
    expect(after(later, { repairs }).open).toEqual(["disconnect_pending"]);
    const announcements = [announced("disconnect_pending", { at: at(9), until: at(16) })];
    expect(after([], { repairs, announcements }).open).toEqual(["disconnect_pending"]);
    for (const item of [null, BROKEN])
      expect(after(ALL, { repairs: [{ by: "item_updated", at: at(9) }], item }).open).toEqual(
        ALL.map(({ kind }) => kind),
      );
  });

  it("a warning that is announced and repaired before one run is cleared, and one that is announced again after the repair is open", () => {
    const repairs = [{ by: "item_updated" as const, at: at(9) }];
    const first = announced("disconnect_pending", { at: at(8), until: at(15) });
    expect(after([], { repairs, announcements: [first] })).toEqual({
      open: [],
      cleared: ["disconnect_pending item_updated"],
      noticed: [],
    });
    const again = announced("disconnect_pending", { at: at(9.5), until: at(16) });
    expect(after([], { repairs, announcements: [first, again] })).toMatchObject({
      open: ["disconnect_pending"],
      cleared: [],
    });
  });

  it("an error for the user that Plaid no longer names clears the warnings of the login that were open", () => {
    expect(after(ALL, { before: BROKEN }).cleared).toEqual(["consent_expiring noticed", "disconnect_pending noticed"]);
    const passing = { ...WELL, error: { error_type: "INSTITUTION_ERROR", error_code: "INSTITUTION_DOWN" } };
    expect(after(ALL, { before: passing }).cleared).toEqual([]);
    expect(after([], { before: BROKEN, announcements: [announced("disconnect_pending")] }).open).toEqual([
      "disconnect_pending",
    ]);
  });
});

describe("the end of a consent", () => {
  const ends = (days: number) => ({ ...WELL, consent_expiration_time: at(days).toISOString() });

  it("a consent that ends within a week is a warning although no webhook said so, once", () => {
    expect(after([], { item: ends(16) })).toEqual({
      open: ["consent_expiring"],
      cleared: [],
      noticed: ["consent_expiring"],
    });
    expect(after([], { item: ends(18) }).open).toEqual([]);
    expect(after([], { item: ends(9) }).open).toEqual([]);
    expect(after([notice("consent_expiring", { until: at(16) })], { item: ends(16) })).toEqual({
      open: ["consent_expiring"],
      cleared: [],
      noticed: [],
    });
  });

  it("a consent that was renewed is no warning any more, and one that was not stays a warning after every kind of repair", () => {
    const open = [notice("consent_expiring", { until: at(12) })];
    expect(after(open, { item: ends(190) }).cleared).toEqual(["consent_expiring noticed"]);
    const repairs = (["login_repaired", "item_updated", "link_session"] as const).map((by) => ({ by, at: at(9) }));
    expect(after(open, { item: ends(12), repairs })).toEqual({ open: ["consent_expiring"], cleared: [], noticed: [] });
    expect(after(open, { item: ends(190), repairs }).cleared).toEqual(["consent_expiring login_repaired"]);
    expect(after(open, { item: WELL, before: ends(12) }).cleared).toEqual(["consent_expiring noticed"]);
    expect(after(open, { item: WELL }).open).toEqual(["consent_expiring"]);
  });

  it("a late webhook about a consent that was renewed meanwhile is cleared at once", () => {
    const announcements = [announced("consent_expiring", { until: at(12) })];
    expect(after([], { item: ends(190), announcements })).toEqual({
      open: [],
      cleared: ["consent_expiring noticed"],
      noticed: [],
    });
  });
});

describe("the time of a consent", () => {
  const ends = (days: number) => ({ ...WELL, consent_expiration_time: at(days).toISOString() });

  it("a login that works again ends no warning of a consent that still ends within a week", () => {
    const open = [notice("consent_expiring", { until: at(12) })];
    expect(after(open, { before: BROKEN, item: ends(12) })).toEqual({
      open: ["consent_expiring"],
      cleared: [],
      noticed: [],
    });
  });

  it("a notice of which Plaid says nothing new is the same one, and a guess gives way to the time that Plaid names", () => {
    const [exact, guess] = [{}, { estimated: true as const }].map((details) =>
      notice("consent_expiring", { until: at(16), details }),
    ) as [Notice, Notice];
    expect(nextNotices([exact], news({ item: ends(16) })).open[0]).toBe(exact);
    expect(nextNotices([guess], news({ item: ends(16) })).open[0]).toEqual({ ...guess, details: {} });
  });

  it("the announcement of a consent that was renewed before the run is no warning, though it names no time", () => {
    const announcements = [announced("consent_expiring")];
    expect(after([], { item: ends(190), announcements })).toEqual({
      open: [],
      cleared: ["consent_expiring noticed"],
      noticed: [],
    });
  });
});

describe("what Plaid answers", () => {
  it("a warning whose time has passed goes where the item is well, and stays where it is not", () => {
    const past = [notice("disconnect_pending", { until: at(9) }), notice("account_revoked", { until: at(9) })];
    expect(after(past, {}).cleared).toEqual(["disconnect_pending passed", "account_revoked passed"]);
    expect(after(past, { item: BROKEN }).cleared).toEqual([]);
    expect(after(past, { item: null }).cleared).toEqual([]);
  });

  it("new accounts end the notice of new accounts, the product that is missing ends the notice of it, an account that is back ends its notice", () => {
    expect(after(ALL, { accountsAdded: true }).cleared).toEqual(["new_accounts noticed"]);
    const withAuth = { ...WELL, products: ["transactions", "auth"] };
    expect(after(ALL, { item: withAuth }).cleared).toEqual(["permissions_required noticed"]);
    expect(after(ALL, { item: { ...WELL, consented_products: ["auth"] } }).cleared).toEqual([
      "permissions_required noticed",
    ]);
    expect(after(ALL, { accounts: new Set(["a"]) }).cleared).toEqual(["account_revoked noticed"]);
    expect(after(ALL, { accounts: new Set(["b"]) }).cleared).toEqual([]);
  });

  it("a product that the item listed already when Plaid asked for its permission says nothing", () => {
    const withAuth = { ...WELL, products: ["auth"] };
    const announcements = [announced("permissions_required", { about: "auth" })];
    const [open] = nextNotices([], news({ item: withAuth, announcements })).open;
    expect(open?.details).toEqual({ listed: true });
    expect(after(open ? [open] : [], { item: withAuth }).open).toEqual(["permissions_required"]);
    expect(nextNotices([], news({ item: null, announcements })).open[0]?.details).toEqual({ listed: true });
  });
});

describe("an announcement", () => {
  it("a warning without a time ends a week after it was announced, and says that this is a guess", () => {
    const said = (announcements: Announcement[]) => nextNotices([], news({ announcements })).open[0];
    expect(said([announced("disconnect_pending")])).toMatchObject({ until: at(16), details: { estimated: true } });
    const exact = announced("disconnect_pending", { at: at(9.5), until: at(14) });
    expect(said([announced("disconnect_pending"), exact])).toMatchObject({
      since: at(9),
      announcedAt: at(9.5),
      until: at(14),
      details: {},
    });
    const unknown = { ...WELL, consent_expiration_time: "soon" };
    expect(
      nextNotices([], news({ item: unknown, announcements: [announced("consent_expiring")] })).open[0],
    ).toMatchObject({
      until: at(16),
    });
  });

  it("a second announcement has its own reason, and keeps the time of the first where it names none", () => {
    const open = [notice("disconnect_pending", { until: at(12), details: { reason: "INSTITUTION_MIGRATION" } })];
    const details = { reason: "INSTITUTION_TOKEN_EXPIRATION" };
    const again = [announced("disconnect_pending", { details })];
    expect(nextNotices(open, news({ announcements: again })).open).toMatchObject([{ until: at(12), details }]);
  });

  it("an instant that Postgres would refuse is none", () => {
    expect(timeOf("2026-11-20T09:00:00Z")).toEqual(new Date("2026-11-20T09:00:00Z"));
    for (const text of ["-271821-04-20T00:00:00Z", "+275760-09-13T00:00:00Z", "soon", 7])
      expect(timeOf(text)).toBeNull();
  });

  it("an item has at most a hundred notices of a kind", () => {
    const announcements = Array.from({ length: 150 }, (_, n) => announced("account_revoked", { about: `a${n}` }));
    expect(nextNotices([], news({ announcements })).open).toHaveLength(100);
  });
});
