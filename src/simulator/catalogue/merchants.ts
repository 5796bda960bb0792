/**
 * The other sides of transactions: merchants, banks and employers, with Plaid's category taxonomy
 * (personal finance category, version 1). Amounts are in cents; positive is money out of the account, as Plaid has it.
 */
export interface Merchant {
  name: string;
  /** null: the bank's text is all there is (transfers, fees, pay) */
  merchant: string | null;
  website: string | null;
  channel: "online" | "in store" | "other";
  primary: string;
  detailed: string;
  confidence: "VERY_HIGH" | "HIGH" | "MEDIUM" | "LOW" | null;
  counterparty: "merchant" | "payment_app" | "marketplace" | "financial_institution" | "income_source" | null;
  cents: readonly [from: number, to: number];
  code: string | null;
  /** its weight among the others */
  weight: number;
}

type Row = [
  name: string,
  merchant: string | null,
  website: string | null,
  channel: "online" | "in store" | "other",
  primary: string,
  detail: string,
  from: number,
  to: number,
  weight: number,
  more?: Partial<Merchant>,
];

const FOOD = "FOOD_AND_DRINK";
const SHOP = "GENERAL_MERCHANDISE";
const RENT = "RENT_AND_UTILITIES";
const MOVE = "TRANSPORTATION";

const ROWS: Row[] = [
  ["STARBUCKS STORE", "Starbucks", "starbucks.com", "in store", FOOD, "COFFEE", 325, 1450, 9],
  ["MCDONALD'S F", "McDonald's", "mcdonalds.com", "in store", FOOD, "FAST_FOOD", 600, 2400, 7],
  ["CHIPOTLE ONLINE", "Chipotle", "chipotle.com", "online", FOOD, "FAST_FOOD", 900, 3200, 5],
  ["TST* CAFÉ ZOË", "Café Zoë", null, "in store", FOOD, "RESTAURANT", 1200, 8900, 4, { confidence: "MEDIUM" }],
  ['SQ *THE "CORNER" BAR', 'The "Corner" Bar', null, "in store", FOOD, "BEER_WINE_AND_LIQUOR", 700, 6400, 3],
  ["WHOLEFDS MKT", "Whole Foods", "wholefoodsmarket.com", "in store", FOOD, "GROCERIES", 1800, 18900, 7],
  ["TRADER JOE'S #", "Trader Joe's", "traderjoes.com", "in store", FOOD, "GROCERIES", 1500, 14500, 7],
  ["SAFEWAY #", "Safeway", "safeway.com", "in store", FOOD, "GROCERIES", 900, 16500, 6],
  [
    "DOORDASH*BURGERKIN",
    "Burger King",
    "burgerking.com",
    "online",
    FOOD,
    "FAST_FOOD",
    1400,
    5200,
    3,
    { counterparty: "marketplace" },
  ],
  ["AMZN Mktp US*2K8T", "Amazon", "amazon.com", "online", SHOP, "ONLINE_MARKETPLACES", 699, 24900, 9],
  ["PURCHASE WM SUPERCENTER #", "Walmart", "walmart.com", "in store", SHOP, "SUPERSTORES", 800, 22000, 6],
  ["TARGET T-", "Target", "target.com", "in store", SHOP, "SUPERSTORES", 900, 18000, 6],
  ["COSTCO WHSE #", "Costco", "costco.com", "in store", SHOP, "SUPERSTORES", 3500, 38000, 3],
  ["BEST BUY 0012", "Best Buy", "bestbuy.com", "in store", SHOP, "ELECTRONICS", 1900, 129900, 1],
  ["IKEA.COM", "IKEA", "ikea.com", "online", "HOME_IMPROVEMENT", "FURNITURE", 2900, 89900, 1],
  ["THE HOME DEPOT #", "The Home Depot", "homedepot.com", "in store", "HOME_IMPROVEMENT", "HARDWARE", 900, 24000, 2],
  ["UBER 072515 SF**POOL**", "Uber", "uber.com", "online", MOVE, "TAXIS_AND_RIDE_SHARES", 633, 4800, 7],
  ["LYFT *RIDE", "Lyft", "lyft.com", "online", MOVE, "TAXIS_AND_RIDE_SHARES", 700, 4100, 4],
  ["SHELL OIL", "Shell", "shell.com", "in store", MOVE, "GAS", 2200, 8800, 6],
  ["CHEVRON 0093", "Chevron", "chevron.com", "in store", MOVE, "GAS", 2000, 9200, 4],
  ["CLIPPER MOBILE", "Clipper", "clippercard.com", "online", MOVE, "PUBLIC_TRANSIT", 2000, 5000, 3],
  ["UNITED AIRLINES", "United Airlines", "united.com", "online", "TRAVEL", "FLIGHTS", 12900, 84000, 1],
  ["AIRBNB * HMK4", "Airbnb", "airbnb.com", "online", "TRAVEL", "LODGING", 8900, 62000, 1],
  ["NETFLIX.COM", "Netflix", "netflix.com", "online", "ENTERTAINMENT", "TV_AND_MOVIES", 1549, 2299, 3],
  ["SPOTIFY USA", "Spotify", "spotify.com", "online", "ENTERTAINMENT", "MUSIC_AND_AUDIO", 1099, 1699, 3],
  ["Steam Games", "Steam", "steampowered.com", "online", "ENTERTAINMENT", "VIDEO_GAMES", 499, 6999, 2],
  ["CVS/PHARMACY #", "CVS", "cvs.com", "in store", "MEDICAL", "PHARMACIES_AND_SUPPLEMENTS", 500, 9000, 3],
  [
    "BAY DENTAL GROUP",
    null,
    null,
    "in store",
    "MEDICAL",
    "DENTAL_CARE",
    4500,
    42000,
    1,
    { confidence: "LOW", counterparty: null },
  ],
  [
    "TOUCHSTONE CLIMBING",
    "Touchstone Climbing",
    "touchstoneclimbing.com",
    "in store",
    "PERSONAL_CARE",
    "GYMS_AND_FITNESS_CENTERS",
    7850,
    9900,
    1,
  ],
  ["PG&E WEB ONLINE", "PG&E", "pge.com", "online", RENT, "GAS_AND_ELECTRICITY", 4200, 26000, 2],
  ["COMCAST CALIFORNIA", "Comcast", "xfinity.com", "online", RENT, "INTERNET_AND_CABLE", 5999, 12999, 2],
  ["AT&T *PAYMENT", "AT&T", "att.com", "online", RENT, "TELEPHONE", 4500, 16000, 2],
  [
    "RENT 14B ACH DEBIT",
    null,
    null,
    "other",
    RENT,
    "RENT",
    145000,
    320000,
    1,
    { confidence: "HIGH", counterparty: null, code: "standing order" },
  ],
  [
    "VENMO PAYMENT",
    "Venmo",
    "venmo.com",
    "online",
    "TRANSFER_OUT",
    "ACCOUNT_TRANSFER",
    500,
    20000,
    3,
    { counterparty: "payment_app", code: "transfer" },
  ],
  [
    "AUTOMATIC PAYMENT - THANK",
    null,
    null,
    "other",
    "LOAN_PAYMENTS",
    "CREDIT_CARD_PAYMENT",
    5000,
    207850,
    1,
    { confidence: "LOW", counterparty: null, code: "bill payment" },
  ],
  [
    "ATM WITHDRAWAL 0412",
    null,
    null,
    "in store",
    "TRANSFER_OUT",
    "WITHDRAWAL",
    2000,
    40000,
    2,
    { confidence: "HIGH", counterparty: null, code: "atm" },
  ],
  [
    "MONTHLY MAINTENANCE FEE",
    null,
    null,
    "other",
    "BANK_FEES",
    "OTHER_BANK_FEES",
    500,
    1500,
    1,
    { confidence: "VERY_HIGH", counterparty: null, code: "bank charge" },
  ],
  [
    "GUSTO PAY 6541",
    "Gusto",
    "gusto.com",
    "other",
    "INCOME",
    "WAGES",
    -420000,
    -180000,
    2,
    { counterparty: "income_source" },
  ],
  [
    "INTRST PYMNT",
    null,
    null,
    "other",
    "INCOME",
    "INTEREST_EARNED",
    -422,
    -3,
    2,
    { confidence: "HIGH", counterparty: null, code: "interest" },
  ],
  [
    "UNITED AIRLINES REFUND",
    "United Airlines",
    "united.com",
    "online",
    "TRAVEL",
    "FLIGHTS",
    -50000,
    -4900,
    1,
    { code: "refund" },
  ],
  [
    "CHECK 1047",
    null,
    null,
    "other",
    "TRANSFER_OUT",
    "OTHER_TRANSFER_OUT",
    3500,
    90000,
    1,
    { confidence: null, counterparty: null, code: "cheque" },
  ],
];

export const MERCHANTS: readonly Merchant[] = ROWS.map(
  ([name, merchant, website, channel, primary, detail, from, to, weight, more]) => ({
    name,
    merchant,
    website,
    channel,
    primary,
    detailed: `${primary}_${detail}`,
    confidence: "VERY_HIGH",
    counterparty: "merchant",
    cents: [from, to],
    code: null,
    weight,
    ...more,
  }),
);

/** merchant indexes, each as often as its weight: picking one of these picks in proportion */
export const MERCHANT_LOTS: readonly number[] = MERCHANTS.flatMap((one, at) => Array<number>(one.weight).fill(at));

export interface Place {
  address: string;
  city: string;
  region: string;
  postal_code: string;
  country: string;
  lat: number;
  lon: number;
}

const place = (
  address: string,
  city: string,
  region: string,
  postal_code: string,
  lat: number,
  lon: number,
): Place => ({
  address,
  city,
  region,
  postal_code,
  country: "US",
  lat,
  lon,
});

export const PLACES: readonly Place[] = [
  place("13425 Community Rd", "Poway", "CA", "92064", 32.959068, -117.037666),
  place("2675 Geary Blvd", "San Francisco", "CA", "94118", 37.782261, -122.446678),
  place("1201 Franklin Ave", "Portland", "OR", "97202", 45.498, -122.6519),
  place("77 Massachusetts Ave", "Cambridge", "MA", "02139", 42.359, -71.0935),
  place("500 Congress Ave", "Austin", "TX", "78701", 30.2667, -97.742),
  place("1060 W Addison St", "Chicago", "IL", "60613", 41.948, -87.6555),
];
