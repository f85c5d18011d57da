import { useMemo } from "preact/hooks";
import type { Graphs, History } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { refine, useRoute } from "../app/router";
import { money } from "../lib/format";
import { Empty, Failure, Loading, Panel, Stale } from "../ui/bits";
import { Chart, type Line } from "../ui/chart";
import { lineOf } from "../ui/lines";
import { DemandChart, FromTo, known, type Range, RangePicker, spanOf, useHistory, useRange } from "../ui/timeline";
import { ClusterFromGraphite, NodeChoice, NodeFromGraphite, RefreshPicker, useRefresh } from "./graphite";

export function GraphsPage() {
  const range = useRange();
  const { query } = useRoute();
  const graphs: Loaded<Graphs> = useDocument("/api/v1/graphs", []);
  const graphite = query.from === "graphite" && graphs.data?.render === true;
  const refresh = useRefresh();
  const names = graphs.data?.node_graphs ?? [];
  return (
    <>
      <header class="page-head">
        <h1>Graphs</h1>
        <RangePicker range={range} />
        {graphs.data?.graphite ? (
          <div class="segments" role="group" aria-label="Whose figures">
            <button type="button" aria-pressed={!graphite} onClick={() => refine({ from: "", node: "", refresh: "" })}>
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
      <div class="filters">
        <FromTo range={range} />
        {graphite ? <RefreshPicker /> : null}
        {graphite && names.length ? <NodeChoice chosen={query.node ?? ""} /> : null}
      </div>
      {graphite && graphs.data ? (
        query.node ? (
          <NodeFromGraphite node={query.node} names={names} range={range} everyMs={refresh} />
        ) : (
          <ClusterFromGraphite range={range} prefix={graphs.data.prefix} everyMs={refresh} />
        )
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
