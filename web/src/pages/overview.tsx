import { useMemo } from "preact/hooks";
import type { Attention, Costs, HistoryEvent, Overview, Resource } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { count, money, plural } from "../lib/format";
import { href } from "../lib/route";
import { grouped } from "../lib/states";
import { Ago, Empty, Failure, Loading, Panel, PartsBar, Stale } from "../ui/bits";
import { Sparkline } from "../ui/chart";
import { EventLines } from "../ui/events";
import { Icon } from "../ui/icon";
import { DemandChart, RangePicker, useHistory, useRange } from "../ui/timeline";
import { ResourceLine } from "./resources";

export function OverviewPage() {
  const { overview } = useApp();
  const { data, error, again } = overview;
  if (!data)
    return error ? <Failure error={error} again={again} what="The overview" /> : <Loading what="the overview" />;
  return (
    <>
      <h1 class="sr">Overview</h1>
      <Stale error={error} />
      <Sentence data={data} />
      <Body data={data} />
    </>
  );
}

function Sentence({ data }: { data: Overview }) {
  const { status } = data;
  return (
    <p class="sentence">
      <span>{status.ready ? status.sentence || "No decision yet." : `Not ready: ${status.not_ready.join("; ")}`}</span>
      {status.decided_at ? (
        <span class="muted">
          decided <Ago at={status.decided_at} suffix=" ago" />
        </span>
      ) : null}
    </p>
  );
}

function Body({ data }: { data: Overview }) {
  const range = useRange();
  const history = useHistory(range, 240);
  const { demand, supply } = data.status;
  const series = history.data?.series ?? {};
  const total = supply.busy_cores + supply.idle_cores;
  const figures = [
    {
      name: "Queued",
      value: count(demand.waiting_cores),
      unit: "cores",
      note: `${plural(demand.waiting_tasks, "task")}${demand.unplaced_tasks ? `, ${count(demand.unplaced_tasks)} without a place` : " waiting"}`,
      values: series.waiting_cores ?? [],
      colour: "--series-queued",
      to: href("/jobs", { state: "pending" }),
    },
    {
      name: "Busy",
      value: count(supply.busy_cores),
      unit: "cores",
      note: total
        ? `${Math.round((100 * supply.busy_cores) / total)} % of ${count(total)} in service`
        : "no nodes in service",
      values: series.busy_cores ?? [],
      colour: "--series-busy",
      to: href("/nodes", { state: "busy" }),
    },
    {
      name: "Booting",
      value: count(supply.booting_cores),
      unit: "cores",
      note: "asked for, not usable yet",
      values: series.booting_cores ?? [],
      colour: "--series-booting",
      to: href("/nodes", { state: "requested,unsettled,starting,configuring,joining" }),
    },
    {
      name: "Idle",
      value: count(supply.idle_cores),
      unit: "cores",
      note: `${count(supply.other_cores)} more held, down or leaving`,
      values: series.idle_cores ?? [],
      colour: "--series-idle",
      to: href("/nodes", { state: "idle" }),
    },
    {
      name: "Spending",
      value: money(data.costs.cost_per_hour),
      unit: "per hour",
      note: data.costs.budget_per_hour ? `budget ${money(data.costs.budget_per_hour)}` : "no hourly budget set",
      values: series.cost_per_hour ?? [],
      colour: "--accent",
      to: href("/resources"),
    },
  ];
  return (
    <>
      <div class="figures">
        {figures.map((figure) => (
          <a class="figure" key={figure.name} href={figure.to}>
            <span class="figure-name">{figure.name}</span>
            <span class="figure-value">
              <b class="num">{figure.value}</b> {figure.unit}
            </span>
            <span class="figure-note">{figure.note}</span>
            <Sparkline values={figure.values} colour={figure.colour} label={`${figure.name} over time`} />
          </a>
        ))}
      </div>
      <div class="split">
        <Panel title="Demand and supply, in cores" aside={<RangePicker range={range} />}>
          <DemandChart history={history} />
        </Panel>
        <NeedsAttention items={data.attention} />
      </div>
      <div class="thirds">
        <NodesPanel data={data} />
        <SpendPanel costs={data.costs} />
        <ResourcesPanel />
      </div>
      <EventsPanel />
    </>
  );
}

const SEVERITY = {
  critical: { icon: "cross", tone: "bad", word: "Critical" },
  warning: { icon: "warn", tone: "wait", word: "Warning" },
  info: { icon: "info", tone: "busy", word: "Note" },
} as const;

function linkOf(item: Attention): string | null {
  if (item.node_id) return href(`/nodes/${encodeURIComponent(item.node_id)}`);
  if (item.resource) return href("/resources", { name: item.resource });
  if (item.source) return href("/settings");
  if (item.kind === "job") return href("/jobs", { state: "pending" });
  if (item.kind === "mode" || item.kind === "plugin") return href("/settings");
  if (item.kind === "node") return href("/nodes", { state: "down,failed,evacuating,quarantined" });
  return null;
}

function NeedsAttention({ items }: { items: readonly Attention[] }) {
  return (
    <Panel
      title="Needs attention"
      aside={items.length ? <span class="count num">{items.length}</span> : null}
      class="attention"
    >
      {items.length ? (
        <ul class="attention-list">
          {items.map((item) => {
            const look = SEVERITY[item.severity];
            const to = linkOf(item);
            const inside = (
              <>
                <span class={`severity tone-${look.tone}`} title={look.word}>
                  <Icon name={look.icon} size={15} />
                  <span class="sr">{look.word}</span>
                </span>
                <span class="attention-body">
                  <span class="attention-title">
                    {item.title}
                    {item.since_at ? (
                      <span class="muted">
                        {" "}
                        <Ago at={item.since_at} />
                      </span>
                    ) : null}
                  </span>
                  {item.text ? <span class="attention-text">{item.text}</span> : null}
                </span>
              </>
            );
            return (
              <li key={`${item.kind} ${item.title} ${item.node_id}`}>
                {to ? <a href={to}>{inside}</a> : <div>{inside}</div>}
              </li>
            );
          })}
        </ul>
      ) : (
        <Empty icon="check" title="Nothing needs you">
          What needs a person stands here, the most urgent first.
        </Empty>
      )}
    </Panel>
  );
}

function NodesPanel({ data }: { data: Overview }) {
  const groups = grouped(data.status.nodes_by_state);
  const parts = groups.map((group) => ({ name: group.name, tone: group.tone, value: group.count }));
  return (
    <Panel title="Worker nodes" aside={<a href={href("/nodes")}>{plural(data.nodes, "node")}</a>}>
      {groups.length ? (
        <>
          <PartsBar parts={parts} full={0} label="Worker nodes by state" />
          <ul class="state-lines">
            {groups.map((group) => (
              <li key={group.name}>
                <a href={href("/nodes", { state: group.states.join(",") })}>
                  <span class={`swatch tone-${group.tone}`} aria-hidden="true" />
                  <span>{group.name}</span>
                  <b class="num">{count(group.count)}</b>
                </a>
              </li>
            ))}
          </ul>
        </>
      ) : (
        <Empty icon="server" title="No worker nodes">
          {data.status.mode.observe_only
            ? "Observe-only is on: nothing is launched. Settings lets the service act."
            : "They are launched when jobs wait, or by “Add nodes” on the Resources page."}
        </Empty>
      )}
      {data.status.foreign_hosts ? (
        <p class="muted small">{`${plural(data.status.foreign_hosts, "host")} of the scheduler ${data.status.foreign_hosts === 1 ? "is" : "are"} not ours, and left alone.`}</p>
      ) : null}
    </Panel>
  );
}

function Meter({ label, value, limit, note }: { label: string; value: number; limit: number | null; note?: string }) {
  const share = limit ? Math.min(1, value / limit) : 0;
  const tone = !limit ? "quiet" : value >= limit ? "bad" : share > 0.8 ? "wait" : "busy";
  return (
    <div class="meter">
      <div class="meter-words">
        <span>{label}</span>
        <span class="num">
          <b>{money(value)}</b>
          {limit ? <span class="muted"> of {money(limit)}</span> : null}
        </span>
      </div>
      {limit ? (
        <div class="meter-bar" role="img" aria-label={`${Math.round((100 * value) / limit)} % of the budget`}>
          <span class={`tone-${tone}`} style={{ width: `${100 * share}%` }} />
        </div>
      ) : null}
      {note ? <p class="muted small">{note}</p> : null}
    </div>
  );
}

function SpendPanel({ costs }: { costs: Costs }) {
  const over = costs.beyond_budget;
  return (
    <Panel title="Spending" aside={<span class="muted">{costs.month}</span>}>
      <Meter label="Per hour now" value={costs.cost_per_hour} limit={costs.budget_per_hour} />
      <Meter label="This month" value={costs.spent} limit={costs.budget_per_month} />
      <Meter
        label="Forecast for the month"
        value={costs.forecast}
        limit={costs.budget_per_month}
        note={
          over.length
            ? `Beyond: ${over.map((word) => word.replace(/_/g, " ")).join(", ")}.`
            : costs.budget_per_month
              ? "If today's rate goes on until the month ends."
              : "If today's rate goes on. No monthly budget is set."
        }
      />
      {costs.unpriced.length ? (
        <p class="muted small">{`Without a price, counted as free: ${costs.unpriced.join(", ")}.`}</p>
      ) : null}
    </Panel>
  );
}

function ResourcesPanel() {
  const resources: Loaded<{ resources: Resource[] }> = useDocument("/api/v1/resources", ["resources", "nodes"]);
  const list = resources.data?.resources ?? [];
  return (
    <Panel title="Resources" aside={<a href={href("/resources")}>{plural(list.length, "resource")}</a>}>
      {resources.data && !list.length ? (
        <Empty icon="layers" title="No resources">
          The section <code>cloud:</code> of the configuration is empty.
        </Empty>
      ) : (
        <ul class="resource-lines">
          {list.map((one) => (
            <ResourceLine key={one.name} resource={one} />
          ))}
        </ul>
      )}
    </Panel>
  );
}

function EventsPanel() {
  const events: Loaded<{ events: HistoryEvent[] }> = useDocument("/api/v1/events?limit=8", ["events"]);
  const list = useMemo(() => events.data?.events ?? [], [events.data]);
  return (
    <Panel title="Latest events" aside={<a href={href("/events")}>All events</a>}>
      {events.data && !list.length ? (
        <Empty icon="history" title="Nothing has happened yet" />
      ) : (
        <EventLines events={list} />
      )}
    </Panel>
  );
}
