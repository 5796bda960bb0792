/**
 * Transactions as JSON text. A page of 500 must cost about a millisecond and a million transactions must fit in memory,
 * so no text is kept for each transaction. The parts that depend only on the merchant and the place are rendered once, and the
 * transaction's own values are put between these parts. The text is ASCII (other letters are escaped, which JSON
 * reads as the same), because one such letter would double the memory of a whole page. Keys are alphabetical.
 */
import { MERCHANTS, PLACES, type Merchant, type Place } from "./catalogue/merchants.ts";
import { dayText } from "./days.ts";
import type { Txn } from "./transaction-log.ts";
import { Random } from "./random.ts";

interface Pieces {
  /** from check_number to the date */
  untilDate: string;
  /** from after the date's to the name */
  untilName: string;
  name: string;
  /** from after the original description to pending */
  untilPending: string;
  untilBalance: string;
  /** from after the running balance to the id */
  untilCode: string;
  /** from after the transaction_id to the end */
  end: string;
  /** the time of day that this merchant reports, or null */
  time: string | null;
}

const cache = new Map<number, Pieces>();

const quote = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const members = (fields: Record<string, unknown>): string => quote(fields).slice(1, -1);

const entityOf = (merchant: Merchant): string | null =>
  merchant.website === null ? null : new Random(`entity/${merchant.website}`).id();

const logoOf = (merchant: Merchant): string | null =>
  merchant.website === null ? null : `https://plaid-merchant-logos.plaid.com/${merchant.website.split(".")[0]}_1.png`;

function counterparties(merchant: Merchant): unknown[] {
  if (merchant.counterparty === null) return [];
  return [
    {
      confidence_level: merchant.confidence ?? "UNKNOWN",
      entity_id: entityOf(merchant),
      logo_url: logoOf(merchant),
      name: merchant.merchant ?? merchant.name,
      type: merchant.counterparty,
      website: merchant.website,
    },
  ];
}

const NOWHERE = {
  address: null,
  city: null,
  country: null,
  lat: null,
  lon: null,
  postal_code: null,
  region: null,
  store_number: null,
};

const NO_META = {
  by_order_of: null,
  payee: null,
  payer: null,
  payment_method: null,
  payment_processor: null,
  ppd_id: null,
  reason: null,
  reference_number: null,
};

const locationOf = (place: Place, store: string): Record<string, unknown> => ({
  address: place.address,
  city: place.city,
  country: place.country,
  lat: place.lat,
  lon: place.lon,
  postal_code: place.postal_code,
  region: place.region,
  store_number: store,
});

/** merchant category codes (ISO 18245) by Plaid's primary category */
const CATEGORY_CODES: Readonly<Record<string, string>> = {
  ENTERTAINMENT: "7929",
  FOOD_AND_DRINK: "5812",
  GENERAL_MERCHANDISE: "5399",
  HOME_IMPROVEMENT: "5200",
  MEDICAL: "8099",
  PERSONAL_CARE: "7298",
  TRANSPORTATION: "4121",
  TRAVEL: "4722",
};

const CHANNEL_TYPE = { online: "digital", "in store": "place", other: "special" } as const;

/** An unknown category is left out; pending rows of such merchants are common. */
function category(merchant: Merchant): Record<string, unknown> {
  if (merchant.confidence === null) return {};
  return {
    personal_finance_category: {
      confidence_level: merchant.confidence,
      detailed: merchant.detailed,
      primary: merchant.primary,
      version: "v1",
    },
    personal_finance_category_icon_url: `https://plaid-category-icons.plaid.com/PFC_${merchant.primary}.png`,
  };
}

function render(merchant: Merchant, at: number, placeAt: number): Pieces {
  const inStore = merchant.channel === "in store";
  const place = PLACES[placeAt] as Place;
  const store = String(100 + at * 10 + placeAt);
  const pfc = members(category(merchant));
  return {
    untilDate: `,${members({ check_number: merchant.code === "cheque" ? "1047" : null, counterparties: counterparties(merchant) })},"date":"`,
    untilName: `,${members({
      location: inStore ? locationOf(place, store) : NOWHERE,
      logo_url: logoOf(merchant),
      merchant_category_code: merchant.merchant === null ? null : (CATEGORY_CODES[merchant.primary] ?? null),
      merchant_entity_id: entityOf(merchant),
      merchant_name: merchant.merchant,
    })},"name":`,
    name: quote(merchant.name.endsWith("#") ? merchant.name + store : merchant.name),
    untilPending: `,${members({ payment_channel: merchant.channel, payment_meta: NO_META })},"pending":`,
    untilBalance: `${pfc === "" ? "" : `,${pfc}`},"running_balance":`,
    untilCode: `,${members({ transaction_code: merchant.code })},"transaction_id":"`,
    end: `",${members({
      transaction_type: CHANNEL_TYPE[merchant.channel],
      unofficial_currency_code: null,
      website: merchant.website,
    })}}`,
    time: inStore && at % 4 === 0 ? `T${String(8 + placeAt * 2).padStart(2, "0")}:${10 + placeAt}:0${placeAt}Z` : null,
  };
}

/** A name that the caller gave has no merchant. */
const UNKNOWN: Merchant = {
  name: "",
  merchant: null,
  website: null,
  channel: "other",
  primary: "OTHER",
  detailed: "OTHER_OTHER",
  confidence: null,
  counterparty: null,
  cents: [0, 0],
  code: null,
  weight: 0,
};

function piecesOf(txn: Txn): Pieces {
  const at = txn.note === null ? txn.merchant : -1;
  const key = at * PLACES.length + txn.place;
  let pieces = cache.get(key);
  if (!pieces) {
    pieces = render(MERCHANTS[at] ?? UNKNOWN, at, txn.place);
    cache.set(key, pieces);
  }
  return pieces;
}

const moment = (date: string, time: string | null): string => (time === null ? "null" : `"${date}${time}"`);

/** One transaction as Plaid writes it; `original` adds the bank's own text (include_original_description). */
export function transactionText(txn: Txn, original = false): string {
  const pieces = piecesOf(txn);
  const date = dayText(txn.day);
  const authorized = dayText(txn.authorizedDay);
  const name = txn.note === null ? pieces.name : quote(txn.note);
  return (
    `{"account_id":"${txn.account.id}","account_owner":null,"amount":${txn.amount / 10_000},` +
    `"authorized_date":"${authorized}","authorized_datetime":${moment(authorized, pieces.time)}${pieces.untilDate}${date}",` +
    `"datetime":${moment(date, txn.pending ? null : pieces.time)},"iso_currency_code":"${txn.currency ?? txn.account.currency}"` +
    `${pieces.untilName}${name}${original ? `,"original_description":${name}` : ""}${pieces.untilPending}${txn.pending},` +
    `"pending_transaction_id":${txn.pendingId === null ? "null" : `"${txn.pendingId}"`}` +
    `${pieces.untilBalance}${txn.balance === null ? "null" : txn.balance / 10_000}` +
    `${pieces.untilCode}${txn.id}${pieces.end}`
  );
}

export function transactionsText(list: readonly Txn[], original = false): string {
  let text = "";
  for (const txn of list) text += text === "" ? transactionText(txn, original) : `,${transactionText(txn, original)}`;
  return `[${text}]`;
}
