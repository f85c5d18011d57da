// Lines of a chart, and areas that lie on each other. Pure.

import type { Values } from "../api/types";

export interface Line {
  name: string;
  values: Values;
  /** the name of a CSS variable */
  colour: string;
  /** stacked areas lie on each other in the order given; lines lie above them */
  kind: "area" | "line" | "step";
  dash?: number[];
}

/** The values of areas added up from below; what is not known stays so. */
export function stacked(lines: readonly Line[]): Values[] {
  const below: number[] = [];
  return lines.map((line) => {
    if (line.kind !== "area") return line.values;
    return line.values.map((value, i) => {
      if (value === null || value === undefined) return null;
      below[i] = (below[i] ?? 0) + value;
      return below[i] ?? null;
    });
  });
}
