// Graphite's answer as columns over one axis of time. Pure.

import type { GraphiteSeries, Values } from "../api/types";

export interface Columns {
  at: number[];
  series: { name: string; values: Values }[];
}

/** Series may have steps of their own: the axis has every instant of any, and null where a series has none. */
export function columns(answer: readonly GraphiteSeries[], prefix: string): Columns {
  const instants = new Set<number>();
  for (const one of answer) for (const [, at] of one.datapoints) instants.add(at);
  const at = [...instants].sort((a, b) => a - b);
  const place = new Map(at.map((instant, i) => [instant, i]));
  const series = answer.map((one) => {
    const values: Values = new Array(at.length).fill(null);
    for (const [value, instant] of one.datapoints) {
      const i = place.get(instant);
      if (i !== undefined) values[i] = value;
    }
    return { name: one.target.startsWith(`${prefix}.`) ? one.target.slice(prefix.length + 1) : one.target, values };
  });
  return { at, series };
}
