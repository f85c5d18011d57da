// A table of which only the rows in sight are drawn. Rows have equal heights; the list may have any length.

import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { nextSort, type Sort } from "../lib/route";
import { rowsInSight, type Span, scrollFor } from "../lib/window";
import { Icon } from "./icon";

export interface Column<Row> {
  key: string;
  title: string;
  /** pixels at least */
  width: number;
  /** its share of the room that is left; absent = none */
  grow?: number;
  cell: (row: Row) => ComponentChildren;
  /** the field to sort by; absent = not sortable */
  sort?: string;
  /** the first click sorts downwards: for figures and ages */
  downFirst?: boolean;
  number?: boolean;
}

interface Props<Row> {
  label: string;
  columns: readonly Column<Row>[];
  total: number;
  row: (index: number) => Row | undefined;
  see: (span: Span) => void;
  idOf: (row: Row) => string;
  open?: (row: Row) => void;
  sort?: Sort;
  onSort?: (text: string) => void;
  selected?: ReadonlySet<string>;
  onSelect?: (row: Row, on: boolean) => void;
  /** all that match, or none */
  onSelectAll?: (on: boolean) => void;
  /** as high as its rows, up to so many; absent = as high as there is room */
  fit?: number;
  /** what a narrow screen shows instead of columns */
  card: (row: Row) => ComponentChildren;
}

const ROW = 34;
const CARD = 66;
const PICK = 36; // the column of check boxes
const BAR = 16; // a scroll bar below, and the frame
const EDGE = 8; // of a row, left and right: table.css
const NARROW = "(max-width: 720px)";

export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => window.matchMedia(NARROW).matches);
  useEffect(() => {
    const query = window.matchMedia(NARROW);
    const change = () => setNarrow(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, []);
  return narrow;
}

export function Table<Row>(props: Props<Row>) {
  const { columns, total, row, see, idOf, open, selected, onSelect } = props;
  const narrow = useNarrow();
  const height = narrow ? CARD : ROW;
  const box = useRef<HTMLDivElement>(null);
  const [span, setSpan] = useState<Span>({ first: 0, end: 30 });
  const [active, setActive] = useState(-1);

  const look = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const seen = rowsInSight(element.scrollTop, element.clientHeight - (narrow ? 0 : ROW), height, total);
    setSpan((old) => (old.first === seen.first && old.end === seen.end ? old : seen));
    see(seen);
  }, [height, narrow, total, see]);

  useLayoutEffect(look, [look]);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, [look]);

  const reveal = (index: number) => {
    const element = box.current;
    setActive(index);
    if (!element) return;
    const room = element.clientHeight - (narrow ? 0 : ROW);
    const to = scrollFor(index, element.scrollTop, room, height);
    if (to !== null) element.scrollTop = to;
  };

  const onKey = (event: KeyboardEvent) => {
    const element = event.currentTarget as HTMLDivElement;
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(element.clientHeight / height) - 2);
    const moves: Record<string, number> = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: total - 1,
      j: active + 1,
      k: active - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      if (total) reveal(Math.max(0, Math.min(total - 1, to)));
      return;
    }
    const chosen = active >= 0 ? row(active) : undefined;
    if (!chosen) return;
    if (event.key === "Enter" && open) open(chosen);
    else if (event.key === " " && onSelect) {
      onSelect(chosen, !selected?.has(idOf(chosen)));
    } else return;
    event.preventDefault();
  };

  const template = [
    ...(onSelect ? [`${PICK}px`] : []),
    ...columns.map(({ width, grow }) => (grow ? `minmax(${width}px, ${grow}fr)` : `${width}px`)),
  ].join(" ");
  const width = narrow ? 0 : columns.reduce((sum, column) => sum + column.width, 2 * EDGE + (onSelect ? PICK : 0));
  const rows: JSX.Element[] = [];
  for (let index = span.first; index < Math.min(span.end, total); index++) {
    const one = row(index);
    const id = one === undefined ? "" : idOf(one);
    const on = selected?.has(id) ?? false;
    rows.push(
      // the grid has the focus and names its active row
      // biome-ignore lint/a11y/useKeyWithClickEvents: the grid's own keys open the active row
      <div
        key={one === undefined ? `-${index}` : id}
        id={`row-${index}`}
        role="row"
        aria-rowindex={index + 2}
        aria-selected={onSelect ? on : undefined}
        class={`row${on ? " selected" : ""}${index === active ? " active" : ""}${index % 2 ? " odd" : ""}`}
        style={{ transform: `translateY(${index * height}px)`, height: `${height}px`, gridTemplateColumns: template }}
        onClick={(event) => {
          if ((event.target as Element).closest("a, button, input, label")) return;
          setActive(index);
          if (one !== undefined && open && !window.getSelection()?.toString()) open(one);
        }}
      >
        {onSelect ? (
          <div role="gridcell" class="cell pick">
            {one === undefined ? null : (
              <input
                type="checkbox"
                tabIndex={-1}
                aria-label={`Select ${id}`}
                checked={on}
                onChange={(event) => onSelect(one, event.currentTarget.checked)}
              />
            )}
          </div>
        ) : null}
        {one === undefined ? (
          <div role="gridcell" class="cell wait" aria-label="loading">
            <span class="ghost" />
          </div>
        ) : narrow ? (
          <div role="gridcell" class="cell card">
            {props.card(one)}
          </div>
        ) : (
          columns.map((column) => (
            <div role="gridcell" key={column.key} class={`cell${column.number ? " num" : ""}`}>
              {column.cell(one)}
            </div>
          ))
        )}
      </div>,
    );
  }
  const chosen = selected?.size ?? 0;
  return (
    <div
      ref={box}
      class={`table${narrow ? " narrow" : ""}`}
      role="grid"
      style={props.fit ? { height: `${Math.min(total, props.fit) * height + (narrow ? 0 : ROW) + BAR}px` } : undefined}
      // a grid takes the focus
      tabIndex={0}
      aria-label={props.label}
      aria-rowcount={total + 1}
      aria-colcount={columns.length + (onSelect ? 1 : 0)}
      aria-multiselectable={onSelect ? true : undefined}
      aria-activedescendant={active >= span.first && active < span.end ? `row-${active}` : undefined}
      onScroll={look}
      onKeyDown={onKey}
    >
      <div role="rowgroup" class="head" style={{ minWidth: `${width}px` }}>
        {/* its cells hold the buttons */}
        <div role="row" class="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          {onSelect ? (
            // the box inside takes the focus
            <div role="columnheader" class="cell pick">
              <input
                type="checkbox"
                aria-label="Select all that match"
                checked={chosen > 0 && chosen >= total}
                ref={(input) => {
                  if (input) input.indeterminate = chosen > 0 && chosen < total;
                }}
                onChange={(event) => props.onSelectAll?.(event.currentTarget.checked)}
              />
            </div>
          ) : null}
          {columns.map((column) => {
            const field = column.sort;
            const here = field !== undefined && props.sort?.by === field;
            return (
              // the button inside takes the focus
              <div
                role="columnheader"
                key={column.key}
                class={`cell${column.number ? " num" : ""}`}
                aria-sort={here ? (props.sort?.down ? "descending" : "ascending") : undefined}
              >
                {field !== undefined && props.onSort && props.sort ? (
                  <button
                    type="button"
                    class={`sort${here ? " here" : ""}`}
                    onClick={() => {
                      if (props.sort) props.onSort?.(nextSort(props.sort, field, column.downFirst ?? false));
                    }}
                  >
                    {column.title}
                    {here ? <Icon name={props.sort.down ? "down" : "up"} size={12} /> : null}
                  </button>
                ) : (
                  column.title
                )}
              </div>
            );
          })}
        </div>
      </div>
      <div role="rowgroup" class="body" style={{ height: `${total * height}px`, minWidth: `${width}px` }}>
        {rows}
      </div>
    </div>
  );
}
