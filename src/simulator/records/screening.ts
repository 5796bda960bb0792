/**
 * Screenings of people and of firms against watchlists, with their hits
 * (https://plaid.com/docs/api/products/monitor/#watchlist_screeningindividualget): both work alike and differ in the terms that are searched
 * for and in the fields of a hit.
 *
 *   pending_review (hits wait for a reviewer) ⇄ cleared | rejected; another search renews the hits
 */
import { z } from "zod";
import { momentText } from "../days.ts";
import { invalidField } from "../plaid-error.ts";
import type { Random } from "../random.ts";
import { digits, familyName, personName } from "./people.ts";
import { recordBook, type Announced, type Request, type SimRecord } from "./record-book.ts";

const LISTS = ["US_SDN", "EU_CON", "AU_CON", "CA_CON", "IZ_WBK"] as const;
const screeningStatus = z.enum(["rejected", "pending_review", "cleared"]);

type Terms = Record<string, string | null>;

interface Hit {
  id: string;
  review: "confirmed" | "pending_review" | "dismissed";
  since: number;
  list: (typeof LISTS)[number];
  uid: string;
  name: string;
}

export interface Screening {
  terms: Terms;
  version: number;
  assignee: string | null;
  clientUserId: string | null;
  status: z.output<typeof screeningStatus>;
  hits: Hit[];
  changedAt: number;
}

interface Sort {
  kind: "screening" | "entity_screening";
  /** what ids begin with, of screenings, programs, hits */
  prefixes: readonly [string, string, string];
  /** the webhook's type and its field for the id */
  type: string;
  field: string;
  /** the resources, and the field of the answer that holds hits */
  resource: string;
  hitsAt: string;
  terms: Record<string, z.ZodType<string>>;
  draw(random: Random): Terms;
  /** `analysis` and `data` of a hit */
  hit(hit: Hit, version: number): Record<string, unknown>;
}

const optional = (shape: Record<string, z.ZodType<string>>) =>
  z.strictObject(Object.fromEntries(Object.entries(shape).map(([name, type]) => [name, type.optional()])));

const screeningBook = (sort: Sort) =>
  recordBook<Screening>()({
    kind: sort.kind,
    id: (random) => `${sort.prefixes[0]}_${random.id(14)}`,
    making: {
      search_terms: optional(sort.terms).optional(),
      client_user_id: z.string().nullish(),
      /** how many hits it finds */
      hits: z.int().min(0).max(500).optional(),
    },
    make(given, { random, createdAt }) {
      const terms = { ...sort.draw(random), ...(given.search_terms as Terms | undefined) };
      const count = given.hits ?? random.below(4);
      const hits = Array.from({ length: count }, () => drawHit(sort, random, createdAt, terms));
      return {
        terms,
        version: 1,
        assignee: null,
        clientUserId: given.client_user_id ?? null,
        status: count > 0 ? "pending_review" : "cleared",
        hits,
        changedAt: createdAt,
      };
    },
    changing: changingOf(sort),
    change: (record, request, sim) => changeScreening(sort, record, request, sim.time.now()),
    calm: ({ state }, random) =>
      state.status === "pending_review"
        ? {
            status: random.pick(["cleared", "rejected"] as const),
            review: random.pick(["confirmed", "dismissed"] as const),
          }
        : { add_hits: random.between(1, 3) },
    truth: (record) => ({
      [`${sort.resource}s`]: screeningObject(record),
      [`${sort.resource}_hits`]: { [sort.hitsAt]: hitObjects(sort, record), next_cursor: null },
    }),
    unknown: () => invalidField(`${sort.resource}_id must be the id of one of your screenings`),
  });

const changingOf = (sort: Sort) => ({
  status: screeningStatus.optional(),
  search_terms: optional(sort.terms).optional(),
  assignee: z.string().nullish(),
  client_user_id: z.string().optional(),
  /** so many hits more, as when a list was renewed */
  add_hits: z.int().min(0).max(500).optional(),
  /** every hit that waits is confirmed or dismissed */
  review: z.enum(["confirmed", "dismissed"]).optional(),
});

function changeScreening(
  sort: Sort,
  { id, random, state }: SimRecord<Screening>,
  request: Request<ReturnType<typeof changingOf>>,
  now: number,
): Announced {
  const before = state.status;
  state.changedAt = now;
  if (request.search_terms) {
    state.terms = { ...state.terms, ...(request.search_terms as Terms) };
    state.version += 1;
    state.hits = [drawHit(sort, random, now, state.terms)];
  }
  for (let more = request.add_hits ?? 0; more > 0; more -= 1) state.hits.push(drawHit(sort, random, now, state.terms));
  if (request.review) for (const hit of state.hits) if (hit.review === "pending_review") hit.review = request.review;
  if (request.assignee !== undefined) state.assignee = request.assignee;
  if (request.client_user_id !== undefined) state.clientUserId = request.client_user_id;
  const renewed = request.search_terms !== undefined || (request.add_hits ?? 0) > 0;
  state.status = request.status ?? (renewed ? "pending_review" : state.status);
  if (state.status === before && !renewed) return null;
  return { type: sort.type, code: "STATUS_UPDATED", fields: { [sort.field]: id } };
}

const drawHit = ({ prefixes }: Sort, random: Random, since: number, terms: Terms): Hit => ({
  id: `${prefixes[2]}_${random.id(14)}`,
  review: "pending_review",
  since,
  list: random.pick(LISTS),
  uid: `uid_${random.id(12)}`,
  name: terms["legal_name"] ?? "",
});

/** Plaid's WatchlistScreeningIndividual and EntityWatchlistScreening */
export const screeningObject = ({ id, state }: SimRecord<Screening>): Record<string, unknown> => ({
  id,
  search_terms: { ...state.terms, version: state.version },
  assignee: state.assignee,
  status: state.status,
  client_user_id: state.clientUserId,
  audit_trail: { source: "api", dashboard_user_id: null, timestamp: momentText(state.changedAt) },
});

export const hitObjects = (sort: Sort, { state }: SimRecord<Screening>): Record<string, unknown>[] =>
  state.hits.map((hit) => ({
    id: hit.id,
    review_status: hit.review,
    first_active: momentText(hit.since),
    inactive_since: null,
    historical_since: null,
    list_code: hit.list,
    plaid_uid: hit.uid,
    source_uid: null,
    sub_programs: [],
    ...sort.hit(hit, state.version),
  }));

const summary = (result: string) => ({ summary: result });
const names = ({ name }: Hit) => [
  { analysis: summary("match"), data: { full: name, is_primary: true, weak_alias_determination: "none" } },
];
const locations = [{ analysis: summary("no_data"), data: { full: "Kiev, Ukraine", country: "UA" } }];

export const INDIVIDUAL: Sort = {
  kind: "screening",
  prefixes: ["scr", "prg", "scrhit"],
  type: "SCREENING",
  field: "screening_id",
  resource: "watchlist_screening",
  hitsAt: "watchlist_screening_hits",
  terms: {
    watchlist_program_id: z.string().min(1),
    legal_name: z.string().min(1),
    date_of_birth: z.iso.date(),
    document_number: z.string().min(1),
    country: z.string().length(2),
  },
  draw: (random) => ({
    watchlist_program_id: `prg_${random.id(14)}`,
    legal_name: personName(random),
    date_of_birth: `19${random.between(40, 99)}-0${random.between(1, 9)}-${random.between(10, 28)}`,
    document_number: `C${digits(random, 8)}`,
    country: "US",
  }),
  hit: (hit, version) => ({
    analysis: {
      dates_of_birth: "no_data",
      documents: "no_data",
      locations: "no_data",
      names: "match",
      search_terms_version: version,
    },
    data: {
      dates_of_birth: [{ analysis: summary("no_data"), data: { beginning: "1990-05-29", ending: "1990-05-29" } }],
      documents: [{ analysis: summary("no_data"), data: { type: "passport", number: "C31195855" } }],
      locations,
      names: names(hit),
    },
  }),
};

export const ENTITY: Sort = {
  kind: "entity_screening",
  prefixes: ["entscr", "entprg", "entscrhit"],
  type: "ENTITY_SCREENING",
  field: "entity_screening_id",
  resource: "entity_watchlist_screening",
  hitsAt: "entity_watchlist_screening_hits",
  terms: {
    entity_watchlist_program_id: z.string().min(1),
    legal_name: z.string().min(1),
    document_number: z.string().min(1),
    email_address: z.string().min(3),
    country: z.string().length(2),
    phone_number: z.string().min(3),
    url: z.string().min(1),
  },
  draw: (random) => ({
    entity_watchlist_program_id: `entprg_${random.id(14)}`,
    legal_name: `${familyName(random)} Exports`,
    document_number: `C${digits(random, 8)}`,
    email_address: "office@example.com",
    country: "US",
    phone_number: `+1415${digits(random, 7)}`,
    url: "https://example.com",
  }),
  hit: (hit, version) => ({
    analysis: {
      documents: "no_data",
      email_addresses: "no_data",
      locations: "no_data",
      names: "match",
      phone_numbers: "no_data",
      urls: "no_data",
      search_terms_version: version,
    },
    data: {
      documents: [{ analysis: summary("no_data"), data: { type: "swift", number: "HERO1234" } }],
      email_addresses: [{ analysis: summary("no_data"), data: { email_address: "hit@example.com" } }],
      locations,
      names: names(hit),
      phone_numbers: [{ analysis: summary("no_data"), data: { type: "phone", phone_number: "+14025671234" } }],
      urls: [{ analysis: summary("no_data"), data: { url: "https://example.com" } }],
    },
  }),
};

export const screening = screeningBook(INDIVIDUAL);
export const entityScreening = screeningBook(ENTITY);
