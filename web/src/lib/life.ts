// A node's life from its events: which states, from when, how long. Pure.

import type { HistoryEvent } from "../api/types";

export interface LifeSpan {
  state: string;
  at: string;
  seconds: number;
}

/** The spans, oldest first. `now` (epoch milliseconds) ends the last one; null = the node is gone, nothing follows. */
export function lifeOf(events: readonly HistoryEvent[], now: number | null): { spans: LifeSpan[] } {
  const changes = events
    .filter((event): event is HistoryEvent & { at: string } => event.to_state !== "" && event.at !== null)
    .sort((a, b) => a.seq - b.seq);
  const spans: LifeSpan[] = [];
  changes.forEach((event, i) => {
    if (event.to_state === "gone") return;
    const next = changes[i + 1]?.at;
    const end = next ? Date.parse(next) : now;
    const seconds = end === null ? 0 : Math.max(0, (end - Date.parse(event.at)) / 1000);
    const last = spans[spans.length - 1];
    // a change of the reason alone is no new span
    if (last && last.state === event.to_state) last.seconds += seconds;
    else spans.push({ state: event.to_state, at: event.at, seconds });
  });
  return { spans };
}
