/** POST /institutions/get_by_id: one institution. */
import { z } from "zod";
import { invalidInstitution } from "../plaid-error.ts";
import { DOWN, incidentObject, isShown, issuesAt, loginHealth, updateHealth } from "../records/issue.ts";
import { endpoint } from "./endpoint.ts";
import { institutionObject } from "./institution-object.ts";

export const institutionsGetById = endpoint(
  "/institutions/get_by_id",
  {
    institution_id: z.string().min(1),
    country_codes: z.array(z.string()).min(1),
    options: z
      .looseObject({ include_optional_metadata: z.boolean().optional(), include_status: z.boolean().optional() })
      .optional(),
  },
  ({ institution_id, country_codes, options }, { sim }) => {
    const found = sim.world.institution(institution_id);
    if (!found?.country_codes.some((code) => country_codes.includes(code))) throw invalidInstitution();
    const down = sim.faults
      .all()
      .some((fault) => fault.kind === "institution_down" && fault.institution_id === institution_id);
    const issues = issuesAt(sim, institution_id).filter((one) => isShown(one, sim));
    const extra = {
      optional: options?.include_optional_metadata ?? false,
      status: options?.include_status ?? false,
      logins: down ? DOWN : loginHealth(sim, institution_id),
      updates: down ? DOWN : updateHealth(sim, institution_id),
      incidents: issues.map(incidentObject),
    };
    return { institution: institutionObject(found, extra) };
  },
  { limit: { perClient: 400, code: "INSTITUTIONS_GET_BY_ID_LIMIT" } },
);
