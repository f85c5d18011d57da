// What Graphite has of the cluster and of single nodes, asked for through the service.

import { useCallback, useMemo, useState } from "preact/hooks";
import { path } from "../api/client";
import type { Figures, WorkerNode } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { refine, useRoute } from "../app/router";
import { compact, count, plural } from "../lib/format";
import { below, bridged, columns, distinct, highest } from "../lib/graphite";
import { href } from "../lib/route";
import { Empty, Failure, Loading, Panel, Stale } from "../ui/bits";
import { Chart } from "../ui/chart";
import { lineOf, MOST_LINES } from "../ui/lines";
import { type Range, useKept } from "../ui/timeline";

const each = encodeURIComponent;

const REFRESH = [
  { key: "never", name: "never", ms: 0 },
  { key: "10s", name: "10 s", ms: 10_000 },
  { key: "30s", name: "30 s", ms: 30_000 },
  { key: "", name: "1 min", ms: 60_000 }, // carbon's usual step
  { key: "2min", name: "2 min", ms: 120_000 },
] as const;

/** How often Graphite is asked anew, in milliseconds; 0 = never. */
export function useRefresh(): number {
  const { query } = useRoute();
  return (REFRESH.find((one) => one.key === query.refresh) ?? REFRESH[3]).ms;
}

export function RefreshPicker() {
  const { query } = useRoute();
  return (
    <label>
      Refresh
      <select value={query.refresh ?? ""} onChange={(event) => refine({ refresh: event.currentTarget.value }, true)}>
        {REFRESH.map((one) => (
          <option key={one.key} value={one.key}>
            {one.name}
          </option>
        ))}
      </select>
    </label>
  );
}

const SUGGESTED = 20;

/** The node whose own figures are wanted, with suggestions while one types. */
export function NodeChoice({ chosen }: { chosen: string }) {
  const [text, setText] = useState(chosen);
  const asked = path("/api/v1/nodes", { q: text, limit: SUGGESTED, sort: "host_name" });
  const found: Loaded<{ nodes: WorkerNode[] }> = useDocument(text.length > 100 ? null : asked, []);
  const names = (found.data?.nodes ?? []).map((node) => node.host_name).filter(Boolean);
  const take = (value: string) => refine({ node: value.trim() });
  return (
    <form
      class="node-choice"
      onSubmit={(event) => {
        event.preventDefault();
        take(text);
      }}
    >
      <label>
        Node
        <input
          list="nodes-known"
          value={text}
          placeholder="host name"
          autocomplete="off"
          onInput={(event) => {
            const { value } = event.currentTarget;
            setText(value);
            // chosen from the suggestions, or typed to the end
            if (names.includes(value)) take(value);
          }}
        />
      </label>
      <datalist id="nodes-known">
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <button type="submit" class="button small">
        Show
      </button>
      {chosen ? (
        <button
          type="button"
          class="button small"
          onClick={() => {
            setText("");
            take("");
          }}
        >
          The whole cluster
        </button>
      ) : null}
    </form>
  );
}

const OF = ["total", "busy", "idle", "starting", "vacating", "deleting", "error"];
const GROUPS = [
  { title: "Nodes", targets: OF.map((name) => `nodes.${name}`) },
  { title: "Cores", targets: OF.map((name) => `cores.${name}`) },
  { title: "Jobs queued", targets: ["jobs.queued"] },
  { title: "Nodes of each resource", targets: ["resource.*.nodes"] },
  { title: "Cores of each resource", targets: ["resource.*.cores"] },
] as const;

/** Over a long time Graphite answers with means, and half a node is none. */
const whole = (value: number) => count(Math.round(value));

export function ClusterFromGraphite({ range, prefix, everyMs }: { range: Range; prefix: string; everyMs: number }) {
  const names = useCallback((targets: readonly string[]) => below(prefix, targets), [prefix]);
  return (
    <div class="graphs">
      {GROUPS.map((group) => {
        const named = group.targets.map((target) => `&target=${each(target)}`).join("");
        return (
          <Panel key={group.title} title={group.title}>
            <Drawn
              asked={`${path("/api/v1/graphs/render", stretch(range))}${named}`}
              names={names}
              title={group.title}
              everyMs={everyMs}
              format={whole}
            />
          </Panel>
        );
      })}
    </div>
  );
}

export function NodeFromGraphite(of: { node: string; names: readonly string[]; range: Range; everyMs: number }) {
  return (
    <>
      <p class="muted">
        What <a href={href(`/nodes/${each(of.node)}`)}>{of.node}</a> itself has told Graphite.
      </p>
      <NodeGraphs {...of} />
    </>
  );
}

/** A chart for each graph that is configured of nodes: load, memory, network, disk. */
export function NodeGraphs({
  node,
  names,
  range,
  everyMs,
}: {
  node: string;
  names: readonly string[];
  range: Range;
  everyMs: number;
}) {
  return (
    <div class="graphs">
      {names.map((name) => (
        <Panel key={`${node} ${name}`} title={`${name.slice(0, 1).toUpperCase()}${name.slice(1)}`}>
          <Drawn
            asked={path(`/api/v1/nodes/${each(node)}/figures`, { graph: name, ...stretch(range) })}
            names={distinct}
            title={`${name} of ${node}`}
            everyMs={everyMs}
            format={compact}
          />
        </Panel>
      ))}
    </div>
  );
}

function stretch({ s, fixed }: Range): { from: string; until: string } {
  return fixed
    ? { from: String(Math.floor(fixed[0])), until: String(Math.ceil(fixed[1])) }
    : { from: `-${s / 60}min`, until: "now" };
}

function Drawn({
  asked,
  names,
  title,
  everyMs,
  format,
}: {
  asked: string;
  names: (targets: readonly string[]) => string[];
  title: string;
  everyMs: number;
  format: (value: number) => string;
}) {
  const { theme } = useApp();
  const { data: now, error, again }: Loaded<Figures> = useDocument(asked, [], everyMs);
  const kept = useKept(now); // until those of another stretch of time are here
  const data = now ?? (error ? null : kept);
  const drawn = useMemo(() => {
    const answer = data?.figures ?? [];
    const { at, series } = columns(answer, names(answer.map((one) => one.target)));
    const shown = highest(series, MOST_LINES);
    return { at, lines: shown.map((one, i) => lineOf(one.name, bridged(at, one.values), i)), of: series.length };
  }, [data, names]);
  if (!data)
    return error ? (
      <Failure error={error} again={again} what="Graphite's figures" />
    ) : (
      <Loading what="Graphite's figures" />
    );
  if (!drawn.lines.length) return <Nothing asked={data.asked} series={drawn.of} />;
  return (
    <>
      <Stale error={error} />
      <Chart at={drawn.at} lines={drawn.lines} theme={theme} label={title} height={180} format={format} whole={false} />
      {drawn.of > drawn.lines.length && drawn.lines.length === MOST_LINES ? (
        <p class="muted small">{`The ${MOST_LINES} highest of ${plural(drawn.of, "series", "series")}.`}</p>
      ) : null}
    </>
  );
}

function Nothing({ asked, series }: { asked: readonly string[]; series: number }) {
  if (!asked.length) {
    return (
      <Empty icon="chart" title="Graphite cannot be asked for it">
        Its host name is empty, or has letters that mean something to Graphite.
      </Empty>
    );
  }
  return (
    <Empty icon="chart" title={series ? "No values of this time" : "Graphite has nothing of it"}>
      Asked for <code>{asked.join(", ")}</code>.
    </Empty>
  );
}
