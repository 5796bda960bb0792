/** The table of the resources of an item or another subject. */
import type { ResourceState } from "../../sync/cursor-queries.ts";
import { ago, dim, sayTable } from "./print.ts";

const ABSENT = {
  not_listed: "the item does not have this product",
  refused: "Plaid refuses it for this item",
  not_enabled: "billed by request and not enabled",
};

export const sayResources = (resources: readonly ResourceState[]): void =>
  sayTable(
    resources,
    {
      resource: ({ resource }) => resource,
      rows: ({ rows }) => String(rows),
      "equal to Plaid": equalToPlaid,
    },
    "",
  );

const equalToPlaid = ({ verified_at, absent }: ResourceState): string =>
  absent === null ? ago(verified_at) : dim(ABSENT[absent]);
