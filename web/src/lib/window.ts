// Which rows of a long list are drawn. Pure; rows have equal heights.

export interface Span {
  first: number;
  /** one past the last */
  end: number;
}

/** The rows in sight and `spare` more on either side, so that quick scrolling shows no gaps. */
export function rowsInSight(scrollTop: number, height: number, rowHeight: number, total: number, spare = 8): Span {
  if (total <= 0 || height <= 0 || rowHeight <= 0) return { first: 0, end: 0 };
  const top = Math.max(0, Math.min(scrollTop, total * rowHeight - height));
  const first = Math.max(0, Math.floor(top / rowHeight) - spare);
  const end = Math.min(total, Math.ceil((top + height) / rowHeight) + spare);
  return { first, end };
}

/** The pages of `size` rows that hold a span. */
export function pagesOf(span: Span, size: number): number[] {
  if (span.end <= span.first) return [];
  const pages: number[] = [];
  for (let page = Math.floor(span.first / size); page <= Math.floor((span.end - 1) / size); page++) pages.push(page);
  return pages;
}

/** Where the list must be scrolled to so that a row is in sight, and null if it is. `top` rows are hidden by a header. */
export function scrollFor(row: number, scrollTop: number, height: number, rowHeight: number): number | null {
  const above = row * rowHeight;
  if (above < scrollTop) return above;
  if (above + rowHeight > scrollTop + height) return above + rowHeight - height;
  return null;
}
