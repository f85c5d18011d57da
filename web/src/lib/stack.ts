// Lines of a chart, and areas that lie on each other. Pure.

/** What is undefined is drawn over; null is a gap. */
export type Drawable = (number | null | undefined)[];

export interface Line {
  name: string;
  values: Drawable;
  /** the name of a CSS variable */
  colour: string;
  /** stacked areas lie on each other in the order given; lines lie above them */
  kind: "area" | "line" | "step";
  dash?: number[];
}

/** The values of areas added up from below; what is not known stays so. */
export function stacked(lines: readonly Line[]): Drawable[] {
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

/** The last instant at which any line has a value; else the last one. The first column is the axis. */
export function newest([axis = [], ...columns]: readonly ArrayLike<number | null | undefined>[]): number {
  for (let i = axis.length - 1; i >= 0; i--) if (columns.some((values) => typeof values[i] === "number")) return i;
  return axis.length - 1;
}
