/**
 * Screenings of people and of firms against watchlists, with their hits
 * (https://plaid.com/docs/api/products/monitor/#watchlist_screeningindividualget). A search that is repeated renews the hits; what the
 * list lacks then is gone.
 */
import { ENTITY_SCREENING, SCREENING } from "./subjects.ts";
import { date, numeric, text, textList, timestamptz, type Column, type Resource } from "./types.ts";

const AUDITED: Column[] = [
  text("audit_trail_source", "audit_trail.source"),
  text("audit_trail_dashboard_user_id", "audit_trail.dashboard_user_id"),
  timestamptz("audit_trail_timestamp", "audit_trail.timestamp"),
];

const HIT: Column[] = [
  text("review_status"),
  text("list_code"),
  timestamptz("first_active"),
  timestamptz("inactive_since"),
  timestamptz("historical_since"),
  text("plaid_uid"),
  text("source_uid"),
  textList("sub_programs"),
  text("analysis_names", "analysis.names"),
  text("analysis_documents", "analysis.documents"),
  text("analysis_locations", "analysis.locations"),
  numeric("analysis_search_terms_version", "analysis.search_terms_version"),
];

const hitExample = {
  id: "scrhit_52xR9LKo77r1Np",
  review_status: "pending_review",
  list_code: "US_SDN",
  first_active: "2026-07-24T03:26:02Z",
  inactive_since: null,
  analysis: { names: "match", documents: "no_data", locations: "no_data", search_terms_version: 1 },
};

export const watchlistScreenings: Resource = {
  name: "watchlist_screenings",
  touchedBy: [{ type: "SCREENING" }],
  subject: SCREENING,
  fetch: { kind: "snapshot", endpoint: "/watchlist_screening/individual/get" },
  tables: [
    {
      name: "watchlist_screenings",
      row: "a screening of a person against watchlists",
      rows: [{ at: "" }],
      sensitive: {
        "search_terms.legal_name": "hidden",
        "search_terms.date_of_birth": "hidden",
        "search_terms.document_number": "last4",
      },
      key: [],
      columns: [
        text("status"),
        text("client_user_id"),
        text("assignee"),
        text("search_terms_watchlist_program_id", "search_terms.watchlist_program_id"),
        text("search_terms_legal_name", "search_terms.legal_name"),
        date("search_terms_date_of_birth", "search_terms.date_of_birth"),
        text("search_terms_document_number", "search_terms.document_number"),
        text("search_terms_country", "search_terms.country"),
        numeric("search_terms_version", "search_terms.version"),
        ...AUDITED,
      ],
      event: {
        rows: "screenings of people",
        example: {
          id: "scr_52xR9LKo77r1Np",
          status: "cleared",
          client_user_id: "your-db-id-3b24110",
          assignee: "54350110fedcbaf01234ffee",
          search_terms: { watchlist_program_id: "prg_2eRPsDnL66rZ7H", country: "US", version: 1 },
        },
      },
    },
  ],
};

export const watchlistScreeningHits: Resource = {
  name: "watchlist_screening_hits",
  touchedBy: [{ type: "SCREENING" }],
  subject: SCREENING,
  fetch: {
    kind: "list",
    endpoint: "/watchlist_screening/individual/hit/list",
    next: { sentAs: "cursor", at: "next_cursor" },
  },
  tables: [
    {
      name: "watchlist_screening_hits",
      row: "a person on a watchlist who may be the one that is screened",
      rows: [{ at: "watchlist_screening_hits" }],
      sensitive: {
        "data.dates_of_birth.data": "hidden",
        "data.documents.data.number": "last4",
        "data.names.data.full": "hidden",
        "data.locations.data.full": "hidden",
      },
      key: ["id"],
      columns: [...HIT, text("analysis_dates_of_birth", "analysis.dates_of_birth")],
      event: { rows: "hits of screenings of people", example: hitExample },
    },
  ],
};

export const entityWatchlistScreenings: Resource = {
  name: "entity_watchlist_screenings",
  touchedBy: [{ type: "ENTITY_SCREENING" }],
  subject: ENTITY_SCREENING,
  fetch: { kind: "snapshot", endpoint: "/watchlist_screening/entity/get" },
  tables: [
    {
      name: "entity_watchlist_screenings",
      row: "a screening of a firm against watchlists",
      rows: [{ at: "" }],
      sensitive: {
        "search_terms.document_number": "last4",
        "search_terms.email_address": "hidden",
        "search_terms.phone_number": "hidden",
      },
      key: [],
      columns: [
        text("status"),
        text("client_user_id"),
        text("assignee"),
        text("search_terms_entity_watchlist_program_id", "search_terms.entity_watchlist_program_id"),
        text("search_terms_legal_name", "search_terms.legal_name"),
        text("search_terms_document_number", "search_terms.document_number"),
        text("search_terms_email_address", "search_terms.email_address"),
        text("search_terms_phone_number", "search_terms.phone_number"),
        text("search_terms_country", "search_terms.country"),
        text("search_terms_url", "search_terms.url"),
        numeric("search_terms_version", "search_terms.version"),
        ...AUDITED,
      ],
      event: {
        rows: "screenings of firms",
        example: {
          id: "entscr_52xR9LKo77r1Np",
          status: "pending_review",
          client_user_id: "your-db-id-3b24110",
          search_terms: {
            entity_watchlist_program_id: "entprg_2eRPsDnL66rZ7H",
            legal_name: "Al-Qaida",
            country: "US",
            version: 1,
          },
        },
      },
    },
  ],
};

export const entityWatchlistScreeningHits: Resource = {
  name: "entity_watchlist_screening_hits",
  touchedBy: [{ type: "ENTITY_SCREENING" }],
  subject: ENTITY_SCREENING,
  fetch: {
    kind: "list",
    endpoint: "/watchlist_screening/entity/hit/list",
    next: { sentAs: "cursor", at: "next_cursor" },
  },
  tables: [
    {
      name: "entity_watchlist_screening_hits",
      row: "a firm on a watchlist that may be the one that is screened",
      rows: [{ at: "entity_watchlist_screening_hits" }],
      sensitive: {
        "data.documents.data.number": "last4",
        "data.email_addresses.data.email_address": "hidden",
        "data.phone_numbers.data.phone_number": "hidden",
      },
      key: ["id"],
      columns: [
        ...HIT,
        text("analysis_email_addresses", "analysis.email_addresses"),
        text("analysis_phone_numbers", "analysis.phone_numbers"),
        text("analysis_urls", "analysis.urls"),
      ],
      event: { rows: "hits of screenings of firms", example: { ...hitExample, id: "entscrhit_52xR9LKo77r1Np" } },
    },
  ],
};
