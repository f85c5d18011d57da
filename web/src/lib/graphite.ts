// Graphite's answer as columns over one axis of time. Pure.

import type { GraphiteSeries, Values } from "../api/types";
import type { Drawable } from "./stack";

export interface Column {
  name: string;
  values: Values;
}

export interface Columns {
  at: number[];
  series: Column[];
}

/** Series may have steps of their own: the axis has every instant of any, and null where a series has none. */
export function columns(answer: readonly GraphiteSeries[], names: readonly string[]): Columns {
  const instants = new Set<number>();
  for (const one of answer) for (const [, at] of one.datapoints) instants.add(at);
  const at = [...instants].sort((a, b) => a - b);
  const place = new Map(at.map((instant, i) => [instant, i]));
  const series = answer.map((one, number) => {
    const values: Values = new Array(at.length).fill(null);
    for (const [value, instant] of one.datapoints) {
      const i = place.get(instant);
      if (i !== undefined) values[i] = value;
    }
    return { name: names[number] ?? one.target, values };
  });
  return { at, series };
}

/** Names below a prefix. */
export function below(prefix: string, targets: readonly string[]): string[] {
  return targets.map((target) => (target.startsWith(`${prefix}.`) ? target.slice(prefix.length + 1) : target));
}

/** Names without what all of them have in common, as a legend wants them: "eth0 rx", "eth0 tx". */
export function distinct(targets: readonly string[]): string[] {
  const split = targets.map((target) => target.split("."));
  const [first = []] = split;
  if (split.length < 2) return first.length ? [first[first.length - 1] ?? ""] : [];
  const even = split.every((parts) => parts.length === first.length);
  const same = (i: number) => split.every((parts) => parts[i] === first[i]);
  let lead = 0;
  while (lead < first.length - 1 && same(lead)) lead += 1;
  return split.map((parts, number) => {
    const kept = parts.filter((_part, i) => i >= lead && !(even && same(i)));
    return kept.join(" ") || (targets[number] ?? "");
  });
}

const MISSED = 2.5; // of the usual distances: one value may be lost without a gap

/**
 * The values as they are drawn. Carbon often keeps places for more values than are sent to it: nothing between two
 * values that follow each other at the usual distance is no gap, while an hour without any is one.
 */
export function bridged(at: readonly number[], values: Values): Drawable {
  const known = values.flatMap((value, i) => (value === null ? [] : [i]));
  const distance = (n: number) => (at[known[n + 1] ?? 0] ?? 0) - (at[known[n] ?? 0] ?? 0);
  const distances = known.slice(1).map((_place, n) => distance(n));
  const usual = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  const drawn: Drawable = [...values];
  distances.forEach((far, n) => {
    if (far > MISSED * usual) return;
    for (let i = (known[n] ?? 0) + 1; i < (known[n + 1] ?? 0); i++) drawn[i] = undefined;
  });
  return drawn;
}

/** The columns with the highest newest values, in the order they had; those without any value are left out. */
export function highest(series: readonly Column[], most: number): Column[] {
  const newest = new Map(series.map((one) => [one, one.values.filter((value) => value !== null).at(-1)]));
  const known = series.filter((one) => newest.get(one) !== undefined);
  const ranked = [...known].sort((a, b) => (newest.get(b) ?? 0) - (newest.get(a) ?? 0)).slice(0, most);
  const kept = new Set(ranked);
  return known.filter((one) => kept.has(one));
}
