// Lines of a chart that stand for things of one kind.

import type { Drawable, Line } from "../lib/stack";

/** Distinguishable for all kinds of colour vision; a legend names each, and dashes tell the second half apart. */
const PALETTE = ["--cat-1", "--cat-2", "--cat-3", "--cat-4", "--cat-5", "--cat-6"];

/** So many lines can be told apart. */
export const MOST_LINES = 2 * PALETTE.length;

export function lineOf(name: string, values: Drawable, i: number): Line {
  return {
    name,
    values,
    colour: PALETTE[i % PALETTE.length] ?? "--accent",
    kind: "line",
    ...(i % MOST_LINES >= PALETTE.length ? { dash: [5, 3] } : {}),
  };
}
