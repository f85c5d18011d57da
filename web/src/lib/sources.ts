// Whether what a source has said can be trusted. Pure.

import type { Source } from "../api/types";
import { since } from "./format";

/**
 * Stale: the last good answer was not renewed, is older than several polls of this source, or has old parts.
 * `now`: epoch milliseconds by the service's clock.
 */
export function stale(
  source: Pick<Source, "ok" | "last_good_at" | "stale_after_s" | "stale_facets">,
  now: number,
): boolean {
  const age = since(source.last_good_at, now);
  return !source.ok || age === null || age > source.stale_after_s || source.stale_facets.length > 0;
}
