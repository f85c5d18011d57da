import { useMemo } from "preact/hooks";
import { path } from "../api/client";
import type { GraphiteSeries, Graphs, History } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { refine, useRoute } from "../app/router";
import { money } from "../lib/format";
import { columns } from "../lib/graphite";
import { Empty, Failure, Loading, Panel, Stale } from "../ui/bits";
import { Chart, type Line } from "../ui/chart";
import { DemandChart, known, type Range, RangePicker, spanOf, useHistory, useRange } from "../ui/timeline";

/** Distinguishable for all kinds of colour vision; a legend names each, and dashes tell the second half apart. */
const PALETTE = ["--cat-1", "--cat-2", "--cat-3", "--cat-4", "--cat-5", "--cat-6"];

export function lineOf(name: string, values: (number | null)[], i: number): Line {
  return {
    name,
    values,
    colour: PALETTE[i % PALETTE.length] ?? "--accent",
    kind: "line",
    ...(i >= PALETTE.length ? { dash: [5, 3] } : {}),
  };
}

export function GraphsPage() {
  const range = useRange();
  const { query } = useRoute();
  const graphs: Loaded<Graphs> = useDocument("/api/v1/graphs", []);
  const graphite = query.from === "graphite" && graphs.data?.render === true;
  return (
    <>
      <header class="page-head">
        <h1>Graphs</h1>
        <RangePicker range={range} />
        {graphs.data?.graphite ? (
          <div class="segments" role="group" aria-label="Whose figures">
            <button type="button" aria-pressed={!graphite} onClick={() => refine({ from: "" })}>
              Own history
            </button>
            <button
              type="button"
              aria-pressed={graphite}
              disabled={!graphs.data.render}
              title={graphs.data.render ? undefined : "Set admin-server graphite_url to draw from Graphite here"}
              onClick={() => refine({ from: "graphite" })}
            >
              Graphite
            </button>
          </div>
        ) : null}
      </header>
      {graphite && graphs.data ? (
        <FromGraphite range={range} prefix={graphs.data.prefix} />
      ) : (
        <OwnHistory range={range} />
      )}
    </>
  );
}

const NODE_SERIES = [
  ["busy", "nodes_busy", "--series-busy"],
  ["idle", "nodes_idle", "--series-idle"],
  ["starting", "nodes_starting", "--series-booting"],
  ["vacating", "nodes_vacating", "--tone-hold"],
  ["deleting", "nodes_deleting", "--series-other"],
  ["error", "nodes_error", "--tone-bad"],
] as const;

function OwnHistory({ range }: { range: Range }) {
  const history = useHistory(range, 400);
  const { data, error, again } = history;
  if (!data) return error ? <Failure error={error} again={again} what="The history" /> : <Loading what="the history" />;
  return (
    <>
      <Stale error={error} />
      <div class="graphs">
        <Panel title="Demand and supply, in cores" class="wide">
          <DemandChart history={history} height={260} />
        </Panel>
        <Panel title="Worker nodes by state">
          <Drawn
            data={data}
            lines={useMemo(
              () =>
                NODE_SERIES.map(([name, key, colour]) => ({
                  name,
                  values: data.series[key] ?? [],
                  colour,
                  kind: "area" as const,
                })),
              [data],
            )}
            label="Worker nodes by state"
          />
        </Panel>
        <Panel title="Jobs">
          <Drawn
            data={data}
            lines={useMemo(
              () => [
                {
                  name: "queued",
                  values: data.series.pending_jobs ?? [],
                  colour: "--series-queued",
                  kind: "line" as const,
                  dash: [6, 3],
                },
                {
                  name: "running",
                  values: data.series.running_jobs ?? [],
                  colour: "--series-busy",
                  kind: "line" as const,
                },
              ],
              [data],
            )}
            label="Jobs"
          />
        </Panel>
        <Panel title="Nodes of each resource">
          <Drawn
            data={data}
            lines={useMemo(
              () => Object.entries(data.resources).map(([name, one], i) => lineOf(name, one.nodes ?? [], i)),
              [data],
            )}
            label="Nodes of each resource"
          />
        </Panel>
        <Panel title="Cores of each resource">
          <Drawn
            data={data}
            lines={useMemo(
              () => Object.entries(data.resources).map(([name, one], i) => lineOf(name, one.cores ?? [], i)),
              [data],
            )}
            label="Cores of each resource"
          />
        </Panel>
        <Panel title="Cost per hour">
          <Drawn
            data={data}
            lines={useMemo(
              () => [
                {
                  name: "per hour",
                  values: data.series.cost_per_hour ?? [],
                  colour: "--accent",
                  kind: "line" as const,
                },
              ],
              [data],
            )}
            label="Cost per hour"
            format={money}
          />
        </Panel>
        <Panel title="Spent this month">
          <Drawn
            data={data}
            lines={useMemo(
              () => [{ name: "spent", values: data.series.spent ?? [], colour: "--accent", kind: "line" as const }],
              [data],
            )}
            label="Spent this month"
            format={money}
          />
        </Panel>
      </div>
    </>
  );
}

function Drawn({
  data,
  lines,
  label,
  format,
}: {
  data: Pick<History, "at"> | History;
  lines: readonly Line[];
  label: string;
  format?: (v: number) => string;
}) {
  const { theme } = useApp();
  if (!lines.some((line) => known(line.values))) {
    return (
      <Empty icon="chart" title="No values of this time">
        A value is kept every 10 seconds while the service runs.
      </Empty>
    );
  }
  const span = "since" in data ? { span: spanOf(data) } : {};
  return (
    <Chart
      at={data.at}
      lines={lines}
      theme={theme}
      label={label}
      height={180}
      {...span}
      {...(format ? { format, whole: false } : {})}
    />
  );
}

const GROUPS = [
  {
    title: "Nodes",
    targets: ["nodes.total", "nodes.busy", "nodes.idle", "nodes.starting", "nodes.vacating", "nodes.error"],
  },
  {
    title: "Cores",
    targets: ["cores.total", "cores.busy", "cores.idle", "cores.starting", "cores.vacating", "cores.error"],
  },
  { title: "Jobs queued", targets: ["jobs.queued"] },
  { title: "Nodes of each resource", targets: ["resource.*.nodes"] },
  { title: "Cores of each resource", targets: ["resource.*.cores"] },
] as const;

function FromGraphite({ range, prefix }: { range: Range; prefix: string }) {
  return (
    <div class="graphs">
      {GROUPS.map((group) => (
        <Panel key={group.title} title={group.title}>
          <Graphite targets={group.targets} prefix={prefix} range={range} title={group.title} />
        </Panel>
      ))}
    </div>
  );
}

const REFRESH_MS = 60_000; // carbon's usual step

function Graphite({
  targets,
  prefix,
  range,
  title,
}: {
  targets: readonly string[];
  prefix: string;
  range: Range;
  title: string;
}) {
  const named = targets.map((target) => `&target=${encodeURIComponent(target)}`).join("");
  const asked = `${path("/api/v1/graphs/render", { from: `-${range.s / 60}min`, until: "now" })}${named}`;
  const { data, error, again }: Loaded<GraphiteSeries[]> = useDocument(asked, [], REFRESH_MS);
  const drawn = useMemo(() => columns(data ?? [], prefix), [data, prefix]);
  if (!data)
    return error ? (
      <Failure error={error} again={again} what="Graphite's figures" />
    ) : (
      <Loading what="Graphite's figures" />
    );
  return (
    <>
      <Stale error={error} />
      <Drawn data={drawn} lines={drawn.series.map((one, i) => lineOf(one.name, one.values, i))} label={title} />
    </>
  );
}
