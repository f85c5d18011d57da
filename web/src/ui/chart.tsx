// Charts over time by uPlot, in the colours of the present theme, with a legend that can be read without colours.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Values } from "../api/types";
import { compact, instant } from "../lib/format";
import { type Line, newest, stacked } from "../lib/stack";

export type { Line };

export interface Mark {
  at: number;
  text: string;
  colour: string;
  up: boolean;
}

const WHOLE = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6].map((tens) => n * 10 ** tens)).sort((a, b) => a - b);

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The legend shows the newest values while nobody points at others; the very last instant often has none yet. */
function lastWhenAway(plot: uPlot): void {
  if (plot.cursor.idx === null || plot.cursor.idx === undefined) {
    plot.setLegend({ idx: newest(plot.data) }, false);
  }
}

function marksPlugin(marks: () => readonly Mark[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (plot) => {
        const { ctx } = plot;
        const ratio = window.devicePixelRatio || 1;
        ctx.save();
        for (const mark of marks()) {
          const x = plot.valToPos(mark.at, "x", true);
          if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
          const base = plot.bbox.top + plot.bbox.height;
          const h = 7 * ratio;
          const w = 4 * ratio;
          ctx.fillStyle = css(mark.colour);
          ctx.beginPath();
          // launches point up, removals down: the shape says it as well as the colour
          if (mark.up) {
            ctx.moveTo(x - w, base);
            ctx.lineTo(x + w, base);
            ctx.lineTo(x, base - h);
          } else {
            ctx.moveTo(x - w, base - h);
            ctx.lineTo(x + w, base - h);
            ctx.lineTo(x, base);
          }
          ctx.fill();
        }
        ctx.restore();
      },
    },
  };
}

export function Chart({
  at,
  lines,
  marks = [],
  label,
  height = 220,
  theme,
  span,
  format = (v) => String(Math.round(v)),
  whole = true,
}: {
  at: readonly number[];
  lines: readonly Line[];
  marks?: readonly Mark[];
  label: string;
  height?: number;
  theme: string;
  /** first and last instant of the axis; absent = those of the values */
  span?: readonly [number, number];
  format?: (value: number) => string;
  /** the axis has whole figures only: cores and nodes are not halved */
  whole?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ lines, marks, span });
  latest.current = { lines, marks, span };
  const shape = lines.map((line) => `${line.name}/${line.kind}/${line.colour}`).join("|");

  // figures alone do not make a new chart: see below
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      const axis = {
        stroke: css("--muted"),
        grid: { stroke: css("--line"), width: 1 },
        ticks: { show: false },
        font: "11px system-ui, sans-serif",
      };
      const order = [...latest.current.lines.keys()];
      // the upper areas are drawn first, so that each shows only its own part
      const drawn = order.filter((i) => latest.current.lines[i]?.kind === "area").reverse();
      const rest = order.filter((i) => latest.current.lines[i]?.kind !== "area");
      const sequence = [...drawn, ...rest];
      const series: uPlot.Series[] = [
        {
          label: "at",
          value: (_plot, value: number | null) =>
            value ? instant(new Date(value * 1000).toISOString(), value * 1000) : "–",
        },
      ];
      for (const i of sequence) {
        const line = latest.current.lines[i];
        if (!line) continue;
        const colour = css(line.colour);
        series.push({
          label: line.name,
          stroke: colour,
          width: line.kind === "area" ? 1 : 1.75,
          ...(line.kind === "area" ? { fill: css(`${line.colour}-fill`) || colour } : {}),
          ...(line.dash ? { dash: line.dash } : {}),
          ...(line.kind === "line" ? {} : { paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder }),
          // a single value has no line
          points: { show: line.values.filter((value) => typeof value === "number").length < 3 },
          spanGaps: false,
          value: (_plot, value, seriesIndex, index) => {
            const own = index === null ? value : latest.current.lines[sequence[seriesIndex - 1] ?? -1]?.values[index];
            return own === null || own === undefined ? "–" : format(own);
          },
        });
      }
      const chart = new uPlot(
        {
          width: Math.max(200, element.clientWidth),
          height,
          padding: [8, 18, 0, 0],
          cursor: { y: false, points: { size: 6 } },
          legend: { live: true },
          scales: {
            x: { time: true, range: (_u, lo, hi) => [...(latest.current.span ?? [lo, hi])] as [number, number] },
            y: { range: (_u, _lo, hi) => [0, Math.max(1, hi * 1.08)] },
          },
          axes: [
            { ...axis, size: 28, values: clock },
            {
              ...axis,
              size: 44,
              ...(whole ? { incrs: WHOLE } : {}),
              values: (_u, ticks) =>
                ticks.map((tick) => (tick < 10_000 ? tick.toLocaleString("en-GB") : compact(tick))),
            },
          ],
          series,
          hooks: { setCursor: [lastWhenAway], setData: [lastWhenAway] },
          plugins: [marksPlugin(() => latest.current.marks)],
        },
        data(),
        element,
      );
      plot.current = chart;
      function data(): uPlot.AlignedData {
        const sums = stacked(latest.current.lines);
        return [[...at], ...sequence.map((i) => sums[i] ?? [])] as uPlot.AlignedData;
      }
    };
    draw();
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: Math.max(200, element.clientWidth), height }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, height, theme]);

  useEffect(() => {
    const order = [...lines.keys()];
    const sequence = [
      ...order.filter((i) => lines[i]?.kind === "area").reverse(),
      ...order.filter((i) => lines[i]?.kind !== "area"),
    ];
    const sums = stacked(lines);
    plot.current?.setData([[...at], ...sequence.map((i) => sums[i] ?? [])] as uPlot.AlignedData);
  }, [at, lines]);

  return <div class="chart" ref={box} role="img" aria-label={label} />;
}

const HM = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DM = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function clock(_plot: uPlot, ticks: number[]): string[] {
  const long = (ticks[1] ?? 0) - (ticks[0] ?? 0) >= 86_400;
  return ticks.map((tick) => (long ? DM : HM).format(new Date(tick * 1000)));
}

/** A line of the last values, without axes; the figure stands beside it in words. */
export function Sparkline({ values, colour, label }: { values: Values; colour: string; label: string }) {
  const known = values.filter((v): v is number => v !== null && v !== undefined);
  if (known.length < 2) return <svg class="spark" viewBox="0 0 100 24" aria-hidden="true" />;
  const most = Math.max(...known, 1);
  const points: string[] = [];
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null || value === undefined) {
      pen = "M";
      return;
    }
    points.push(`${pen}${((100 * i) / (values.length - 1)).toFixed(1)} ${(22 - (20 * value) / most).toFixed(1)}`);
    pen = "L";
  });
  return (
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={points.join("")} style={{ stroke: `var(${colour})` }} />
    </svg>
  );
}
