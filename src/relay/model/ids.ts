/** The ids of what the relay keeps. */
export { fromDeliveryId, newDestinationId, newJobId, newRouteId, newSigningKeyId, toDeliveryId } from "../model/ids.ts";
