// Hooks that keep what is on the screen up to date.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { pagesOf, type Span } from "../lib/window";
import { ApiFailure, get } from "./client";
import { Live, type Topic } from "./live";

export const live = new Live();

export interface Loaded<T> {
  /** the last good answer; kept when a later one fails */
  data: T | null;
  error: ApiFailure | null;
  again: () => void;
}

/** The document at a path, asked for anew when one of `topics` changes. A null path asks for nothing. */
export function useDocument<T>(path: string | null, topics: readonly Topic[], everyMs = 0): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiFailure | null }>({
    path,
    data: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const asking = useRef(false);
  const missed = useRef(false);
  const wanted = topics.join();

  useEffect(
    () =>
      live.subscribe((changed) => {
        if (!wanted.split(",").some((topic) => changed.has(topic as Topic))) return;
        // never two at a time: a slow answer is followed by one more question, however much has changed since
        if (asking.current) missed.current = true;
        else again();
      }),
    [wanted, again],
  );
  useEffect(() => {
    if (!everyMs) return;
    const timer = window.setInterval(() => !asking.current && again(), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs, again]);
  // a new round asks again
  useEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    asking.current = true;
    missed.current = false;
    get<T>(path, stop.signal)
      .then((data) => setState({ path, data, error: null }))
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        const failure = error instanceof ApiFailure ? error : new ApiFailure(0, "odd", String(error));
        setState((old) => ({ path, data: old.path === path ? old.data : null, error: failure }));
      })
      .finally(() => {
        if (stop.signal.aborted) return;
        asking.current = false;
        if (missed.current) again();
      });
    return () => {
      asking.current = false;
      stop.abort();
    };
  }, [path, round, again]);
  const current = state.path === path;
  return { data: current ? state.data : null, error: current ? state.error : null, again };
}

export const PAGE_ROWS = 100;
const FLYING_MS = 40;

export interface Rows<Row> {
  total: number;
  counts: Record<string, number>;
  row: (index: number) => Row | undefined;
  /** what is in sight; its pages are asked for */
  see: (span: Span) => void;
  loaded: boolean;
  error: ApiFailure | null;
  again: () => void;
  /** every row that matches, or as many as `most` */
  all: (most: number) => Promise<Row[]>;
}

type Answer<Row> = { total: number; counts?: Record<string, number> } & Record<string, Row[] | unknown>;

/** A long list of which only the pages in sight are fetched. `path` has everything but limit and offset. */
export function useRows<Row>(path: string, field: string, topics: readonly Topic[]): Rows<Row> {
  interface Held {
    path: string;
    pages: Map<number, Row[]>;
    total: number;
    counts: Record<string, number>;
    loaded: boolean;
    error: ApiFailure | null;
  }
  const empty = (): Held => ({ path, pages: new Map(), total: 0, counts: {}, loaded: false, error: null });
  const held = useRef<Held>(empty());
  const [, redraw] = useState(0);
  const span = useRef<Span>({ first: 0, end: 1 });
  const stop = useRef<AbortController | null>(null);
  const fresh = useRef(new Set<number>());
  const busy = useRef(false);
  const missed = useRef(false);

  if (held.current.path !== path) {
    // counts and rows of the last question stay on the screen until the first answer to the new one
    const { counts } = held.current;
    held.current = { ...empty(), counts };
    fresh.current = new Set();
    span.current = { first: 0, end: 1 };
  }

  const pump = useCallback(async () => {
    if (busy.current) {
      missed.current = true;
      return;
    }
    busy.current = true;
    const mine = held.current;
    stop.current = new AbortController();
    try {
      for (;;) {
        const page = pagesOf(span.current, PAGE_ROWS).find((one) => !fresh.current.has(one));
        if (page === undefined || held.current !== mine) break;
        const mark = path.includes("?") ? "&" : "?";
        const asked = `${path}${mark}limit=${PAGE_ROWS}&offset=${page * PAGE_ROWS}`;
        const answer = await get<Answer<Row>>(asked, stop.current.signal);
        if (held.current !== mine) break;
        fresh.current.add(page);
        mine.pages.set(page, answer[field] as Row[]);
        mine.total = answer.total;
        mine.counts = answer.counts ?? {};
        mine.loaded = true;
        mine.error = null;
        redraw((n) => n + 1);
      }
    } catch (error) {
      if (held.current === mine && !(error instanceof DOMException)) {
        mine.error = error instanceof ApiFailure ? error : new ApiFailure(0, "odd", String(error));
        redraw((n) => n + 1);
      }
    } finally {
      busy.current = false;
      if (missed.current || held.current !== mine) {
        missed.current = false;
        void next.current();
      }
    }
  }, [path, field]);
  const next = useRef(pump);
  next.current = pump;

  const again = useCallback(() => {
    fresh.current = new Set();
    // pages out of sight are forgotten: they are old, and would be shown as if they were not
    const wanted = new Set(pagesOf(span.current, PAGE_ROWS));
    for (const page of held.current.pages.keys()) if (!wanted.has(page)) held.current.pages.delete(page);
    void next.current();
  }, []);

  // another path is another list
  useEffect(() => {
    stop.current?.abort();
    void next.current();
  }, [path]);
  useEffect(() => () => stop.current?.abort(), []);
  const wanted = topics.join();
  useEffect(
    () => live.subscribe((changed) => wanted.split(",").some((topic) => changed.has(topic as Topic)) && again()),
    [wanted, again],
  );

  const rest = useRef(0);
  const see = useCallback((seen: Span) => {
    span.current = seen;
    window.clearTimeout(rest.current);
    // pages that only fly past are not asked for
    if (pagesOf(seen, PAGE_ROWS).some((page) => !fresh.current.has(page))) {
      rest.current = window.setTimeout(() => void next.current(), FLYING_MS);
    }
  }, []);
  useEffect(() => () => window.clearTimeout(rest.current), []);
  const row = useCallback(
    (index: number) => held.current.pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS],
    [],
  );
  const all = useCallback(
    async (most: number) => {
      const found: Row[] = [];
      const mark = path.includes("?") ? "&" : "?";
      for (let offset = 0; offset < most; offset += 1000) {
        const limit = Math.min(1000, most - offset);
        const answer = await get<Answer<Row>>(`${path}${mark}limit=${limit}&offset=${offset}`);
        const rows = answer[field] as Row[];
        found.push(...rows);
        if (rows.length < limit) break;
      }
      return found;
    },
    [path, field],
  );
  const { total, counts, loaded, error } = held.current;
  return useMemo(
    () => ({ total, counts, loaded, error, row, see, again, all }),
    [total, counts, loaded, error, row, see, again, all],
  );
}

const clocks = new Set<(now: number) => void>();
let ahead = 0;

/** The service's clock counts: ours may be wrong, and a simulated cluster's time runs faster than ours. */
export function tellTime(serviceNow: string | null | undefined): void {
  const at = Date.parse(serviceNow ?? "");
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

/** Epoch milliseconds by the service's clock. */
export function serviceTime(): number {
  return Date.now() + ahead;
}

/** The service's clock, for ages that grow: one timer for all of the page. */
export function useNow(): number {
  const [now, setNow] = useState(serviceTime);
  useEffect(() => {
    if (!clocks.size) {
      const timer = window.setInterval(() => {
        const at = serviceTime();
        for (const clock of clocks) clock(at);
        if (!clocks.size) window.clearInterval(timer);
      }, 1000);
    }
    clocks.add(setNow);
    return () => {
      clocks.delete(setNow);
    };
  }, []);
  return now;
}
