/** An endpoint that answers from a product book: the shelf says whether the Item has the product and whether it is ready. */
import type { Item } from "../item.ts";
import type { Limit } from "../limits.ts";
import type { ChangeInput, ProductBook } from "../products/product-book.ts";
import { readBook } from "../products/shelf.ts";
import type { Simulation } from "../simulation.ts";
import { itemEndpoint, type Answer, type Body, type Endpoint, type Shape } from "./endpoint.ts";

export const productEndpoint = <S extends Shape, State>(
  path: string,
  book: ProductBook<State, ChangeInput, unknown>,
  shape: S,
  answer: (state: State, item: Item, body: Body<S>, sim: Simulation) => Answer,
  limit?: Limit,
): Endpoint =>
  itemEndpoint(
    path,
    "healthy",
    shape,
    (item, body, { sim }) => answer(readBook(sim, item, book), item, body, sim),
    limit,
  );
