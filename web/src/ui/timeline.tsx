// Charts from the service's own history: which stretch of time, and demand against supply.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { History } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { refine, useRoute } from "../app/router";
import type { Drawable } from "../lib/stack";
import { Empty, Failure, Loading } from "./bits";
import { Chart, type Line, type Mark } from "./chart";

export const RANGES = [
  { key: "15m", name: "15 min", s: 900 },
  { key: "1h", name: "1 h", s: 3600 },
  { key: "6h", name: "6 h", s: 21_600 },
  { key: "1d", name: "1 d", s: 86_400 },
  { key: "7d", name: "7 d", s: 604_800 },
  { key: "30d", name: "30 d", s: 2_592_000 },
] as const;

/** A stretch of time: the last `s` seconds, or if `fixed` those from one instant (epoch seconds) to another. */
export interface Range {
  key: string;
  s: number;
  fixed: readonly [number, number] | null;
}

/** The stretch that the address names. */
export function useRange(): Range {
  const { query } = useRoute();
  return rangeOf(query);
}

export function rangeOf(query: Readonly<Record<string, string>>): Range {
  const [since, until] = [Number(query.since), Number(query.until)];
  if (since > 0 && until > since) return { key: "", s: until - since, fixed: [since, until] };
  const { key, s } = RANGES.find((range) => range.key === query.range) ?? RANGES[1];
  return { key, s, fixed: null };
}

export function RangePicker({ range }: { range: Range }) {
  return (
    <div class="segments" role="group" aria-label="Stretch of time">
      {RANGES.map((one) => (
        <button
          type="button"
          key={one.key}
          aria-pressed={one.key === range.key}
          onClick={() => refine({ range: one.key === "1h" ? "" : one.key, since: "", until: "" }, true)}
        >
          {one.name}
        </button>
      ))}
    </div>
  );
}

/** From and to, for those who look for something that was. Nothing changes before both are instants in order. */
export function FromTo({ range }: { range: Range }) {
  const [first, last] = range.fixed ?? [0, 0];
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  useEffect(() => {
    setFrom(first ? localInput(first) : "");
    setTo(last ? localInput(last) : "");
  }, [first, last]);
  const take = (since: string, until: string) => {
    const [a, b] = [Date.parse(since) / 1000, Date.parse(until) / 1000];
    if (a > 0 && b > a) refine({ since: String(a), until: String(b), range: "" }, true);
  };
  const wrong = from !== "" && to !== "" && !(Date.parse(to) > Date.parse(from));
  return (
    <span class="from-to">
      <label>
        From
        <input
          type="datetime-local"
          value={from}
          onInput={(event) => {
            setFrom(event.currentTarget.value);
            take(event.currentTarget.value, to);
          }}
        />
      </label>
      <label>
        to
        <input
          type="datetime-local"
          value={to}
          aria-invalid={wrong}
          onInput={(event) => {
            setTo(event.currentTarget.value);
            take(from, event.currentTarget.value);
          }}
        />
      </label>
      {wrong ? <span class="text-bad small">ends before it begins</span> : null}
    </span>
  );
}

/** Epoch seconds as the browser's field for date and time wants them: in the reader's own time zone. */
export function localInput(at: number): string {
  const date = new Date(at * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The history of the last `range`. The service's own clock counts, which may run ahead of ours in a demo. */
export function useHistory(range: Range, points: number): Loaded<History> {
  const { overview } = useApp();
  const now = overview.data?.status.now;
  // in steps, so that the address stays the same between two values
  const step = Math.max(10, Math.floor(range.s / points));
  const until = range.fixed?.[1] ?? (now ? Math.ceil(Date.parse(now) / 1000 / step) * step : 0);
  const path = until ? `/api/v1/history?since=${until - range.s}&until=${until}&points=${points}` : null;
  const loaded = useDocument<History>(path, [], 0);
  const kept = useKept(loaded.data);
  return { ...loaded, data: loaded.data ?? kept };
}

/** The last value that there was, while a new one is on its way. */
export function useKept<T>(value: T | null): T | null {
  const memory = useMemo<{ value: T | null }>(() => ({ value: null }), []);
  if (value !== null) memory.value = value;
  return memory.value;
}

export function marksOf(history: History): Mark[] {
  const marks: Mark[] = [];
  const { launched = [], removed = [] } = history.series;
  history.at.forEach((at, i) => {
    const up = launched[i] ?? 0;
    const down = removed[i] ?? 0;
    if (up) marks.push({ at, text: `${up} launched`, colour: "--series-launch", up: true });
    if (down) marks.push({ at, text: `${down} removed`, colour: "--series-removal", up: false });
  });
  return marks;
}

const LEAST_S = 600; // a service that was just started shows ten minutes, not one value drawn out

/** First and last instant to draw: what was asked for, without the time before there was any history. */
export function spanOf(history: History): [number, number] {
  const last = history.until;
  return [Math.min(Math.max(history.since, history.oldest ?? 0), last - LEAST_S), last];
}

export function known(values: Drawable | undefined): boolean {
  return (values ?? []).some((value) => typeof value === "number");
}

export function DemandChart({ history, height }: { history: Loaded<History>; height?: number }) {
  const { theme } = useApp();
  const { data, error, again } = history;
  const lines = useMemo<Line[]>(() => {
    const series = data?.series ?? {};
    return [
      { name: "busy", values: series.busy_cores ?? [], colour: "--series-busy", kind: "area" },
      { name: "idle", values: series.idle_cores ?? [], colour: "--series-idle", kind: "area" },
      { name: "booting", values: series.booting_cores ?? [], colour: "--series-booting", kind: "area" },
      { name: "queued", values: series.waiting_cores ?? [], colour: "--series-queued", kind: "step", dash: [6, 3] },
    ];
  }, [data]);
  const marks = useMemo(() => (data ? marksOf(data) : []), [data]);
  if (!data) return error ? <Failure error={error} again={again} what="The history" /> : <Loading what="the history" />;
  if (!known(data.series.busy_cores)) {
    return (
      <Empty icon="chart" title="No history of this time yet">
        A value is kept every 10 seconds while the service runs.
      </Empty>
    );
  }
  return (
    <>
      <Chart
        at={data.at}
        lines={lines}
        marks={marks}
        span={spanOf(data)}
        theme={theme}
        {...(height ? { height } : {})}
        label="Cores over time: busy, idle and booting lie on each other; queued is a dashed line"
      />
      <p class="marks-key muted small">
        <span class="mark up" aria-hidden="true" /> nodes launched <span class="mark down" aria-hidden="true" /> nodes
        removed
        {marks.length ? null : ": none in this time"}
      </p>
    </>
  );
}
