/** POST /institutions/get: the list of institutions, by offset. */
import { z } from "zod";
import { INSTITUTIONS } from "../catalogue/institutions.ts";
import { endpoint } from "./endpoint.ts";
import { institutionObject } from "./institution-object.ts";

const options = z
  .looseObject({
    products: z.array(z.string()).nullish(),
    routing_numbers: z.array(z.string()).nullish(),
    oauth: z.boolean().nullish(),
    include_optional_metadata: z.boolean().optional(),
  })
  .optional();

export const institutionsGet = endpoint(
  "/institutions/get",
  {
    count: z.int().min(1).max(500),
    offset: z.int().min(0),
    country_codes: z.array(z.string()).min(1),
    options,
  },
  ({ count, offset, country_codes, options }) => {
    const found = INSTITUTIONS.filter(
      (one) =>
        one.country_codes.some((code) => country_codes.includes(code)) &&
        (options?.products ?? []).every((product) => one.products.includes(product)) &&
        (!options?.routing_numbers?.length || one.routing_numbers.some((n) => options.routing_numbers?.includes(n))) &&
        (typeof options?.oauth !== "boolean" || one.oauth === options.oauth),
    );
    const page = found.slice(offset, offset + count);
    const extra = { optional: options?.include_optional_metadata ?? false, status: false };
    return { institutions: page.map((one) => institutionObject(one, extra)), total: found.length };
  },
  { limit: { perClient: 10, code: "INSTITUTIONS_GET_LIMIT" } },
);
