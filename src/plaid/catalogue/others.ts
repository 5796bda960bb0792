/** The webhooks about verifications of people and firms and about institutions, and those of products that Tartan does not mirror. */
import { INSTITUTION, webhooksOf, type SubjectRule } from "./types.ts";

const ISSUE: SubjectRule = { kind: "issue", field: "issue_id" };
const PARTNER_CUSTOMER: SubjectRule = { kind: "partner_customer", field: "end_customer_client_id" };
const VERIFICATION: SubjectRule = { kind: "identity_verification", field: "identity_verification_id" };
const SCREENING: SubjectRule = { kind: "screening", field: "screening_id" };
const ENTITY_SCREENING: SubjectRule = { kind: "entity_screening", field: "entity_screening_id" };

const NO_BEACON = "Plaid replaced Beacon by Protect; Tartan does not mirror it.";
const NO_PROTECT = "Tartan does not mirror Protect: Plaid no longer offers to read an event.";
const NO_DELIVERY = "Tartan mirrors Link sessions, not how they were sent to the user.";

export const OTHER_WEBHOOKS = [
  ...webhooksOf("IDENTITY_VERIFICATION", [VERIFICATION], {
    STATUS_UPDATED: { meaning: "A verification of a person's identity has a new state." },
    STEP_UPDATED: { meaning: "A person completed a step of an identity verification." },
    RETRIED: { meaning: "An identity verification is tried again." },
  }),
  ...webhooksOf("SCREENING", [SCREENING], {
    STATUS_UPDATED: { meaning: "The screening of a person against watchlists has a new state." },
  }),
  ...webhooksOf("ENTITY_SCREENING", [ENTITY_SCREENING], {
    STATUS_UPDATED: { meaning: "The screening of a firm against watchlists has a new state." },
  }),
  ...webhooksOf("ISSUES", [ISSUE], {
    ISSUE_RESOLVED: { meaning: "An issue with an institution that you subscribed to was resolved." },
  }),
  ...webhooksOf("DASHBOARD_CONFIGURED_ALERT", [INSTITUTION], {
    INSTITUTION_STATUS_ALERT_TRIGGERED: {
      meaning: "An institution's rate of success met the condition of an alert in Plaid's dashboard.",
    },
  }),
  ...webhooksOf("PARTNER", [PARTNER_CUSTOMER], {
    END_CUSTOMER_OAUTH_STATUS_UPDATED: {
      meaning: "The registration of a partner's end customer at an institution has a new state.",
    },
  }),
  ...webhooksOf("BEACON", [], {
    USER_STATUS_UPDATED: { meaning: "A Beacon user has a new state.", deprecated: true, unread: NO_BEACON },
    REPORT_CREATED: { meaning: "One of your Beacon users was reported.", deprecated: true, unread: NO_BEACON },
    REPORT_UPDATED: { meaning: "A Beacon report was changed or removed.", deprecated: true, unread: NO_BEACON },
    REPORT_SYNDICATION_CREATED: {
      meaning: "A report of another firm matches one of your Beacon users.",
      deprecated: true,
      unread: NO_BEACON,
    },
    DUPLICATE_DETECTED: {
      meaning: "A new Beacon user matches one that you have.",
      deprecated: true,
      unread: NO_BEACON,
    },
  }),
  ...webhooksOf("BANK_TRANSFERS", [], {
    BANK_TRANSFERS_EVENTS_UPDATE: {
      meaning: "There are new events of bank transfers, such as micro-deposits.",
      deprecated: true,
      unread: "Plaid replaced Bank Transfer by Transfer; Tartan does not mirror it.",
    },
  }),
  ...webhooksOf("PROTECT", [], {
    PROTECT_USER_EVENT: { meaning: "Protect recorded an event of a user.", unread: NO_PROTECT },
  }),
  ...webhooksOf("LINK_DELIVERY", [], {
    DELIVERY_STATUS: { meaning: "The message with a Hosted Link session has a new state.", unread: NO_DELIVERY },
    LINK_CALLBACK: { meaning: "Link reported something about a session that was sent to a user.", unread: NO_DELIVERY },
  }),
];
