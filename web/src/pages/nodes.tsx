import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { path } from "../api/client";
import type { NodeAction, Resource, WorkerNode } from "../api/types";
import { type Loaded, useDocument, useRows } from "../api/use";
import { askNodes } from "../app/actions";
import { useApp } from "../app/context";
import { go, refine, useRoute } from "../app/router";
import { applies } from "../lib/consequences";
import { count, money, plural } from "../lib/format";
import { href, sortOf, words } from "../lib/route";
import { NODE_STATES, nodeLook } from "../lib/states";
import { Ago, Chip, Empty, Failure, Loading, Stale } from "../ui/bits";
import { Filters, SearchField, StateFilter } from "../ui/filters";
import { Icon } from "../ui/icon";
import { type Column, Table, useNarrow } from "../ui/table";

const MOST_SELECTED = 10_000;
const each = encodeURIComponent;

export function Cores({ node }: { node: Pick<WorkerNode, "used_cores" | "capacity"> }) {
  const total = node.capacity.cores;
  const share = total ? Math.min(1, node.used_cores / total) : 0;
  return (
    <span class="cores">
      <span class="cores-bar" aria-hidden="true">
        <span style={{ width: `${100 * share}%` }} />
      </span>
      <span class="num">{`${node.used_cores}/${total}`}</span>
    </span>
  );
}

export const NODE_COLUMNS: readonly Column<WorkerNode>[] = [
  {
    key: "host",
    title: "Host",
    width: 160,
    grow: 1.3,
    sort: "host_name",
    cell: (node) => (
      <a class="mono" href={href(`/nodes/${each(node.node_id)}`)} tabIndex={-1}>
        {node.host_name || node.node_id}
      </a>
    ),
  },
  { key: "state", title: "State", width: 136, sort: "state", cell: (node) => <Chip look={nodeLook(node.state)} /> },
  {
    key: "for",
    title: "For",
    width: 88,
    sort: "state_since_at",
    number: true,
    cell: (node) => <Ago at={node.state_since_at} />,
  },
  { key: "resource", title: "Resource", width: 92, grow: 0.8, sort: "resource", cell: (node) => node.resource },
  {
    key: "cores",
    title: "Cores",
    width: 104,
    sort: "used_cores",
    downFirst: true,
    cell: (node) => <Cores node={node} />,
  },
  { key: "jobs", title: "Jobs", width: 84, grow: 0.7, cell: (node) => <JobIds ids={node.jobs} /> },
  {
    key: "reason",
    title: "Reason",
    width: 110,
    grow: 1.6,
    cell: (node) => (
      <span class="muted" title={node.reason}>
        {node.reason || "–"}
      </span>
    ),
  },
  {
    key: "cloud",
    title: "In cloud",
    width: 78,
    cell: (node) =>
      node.cloud_state ? <span title={node.cloud_state}>{node.cloud_state}</span> : <span class="muted">–</span>,
  },
  {
    key: "price",
    title: "Per hour",
    width: 80,
    sort: "price_per_hour",
    downFirst: true,
    number: true,
    cell: (node) => (node.price_per_hour ? money(node.price_per_hour) : "–"),
  },
  {
    key: "address",
    title: "Address",
    width: 108,
    sort: "address",
    cell: (node) => <span class="mono">{node.address || "–"}</span>,
  },
  {
    key: "instance",
    title: "Instance",
    width: 100,
    grow: 1,
    sort: "instance_name",
    cell: (node) => (
      <span class="mono" title={node.instance_id}>
        {node.instance_name || node.instance_id || "–"}
      </span>
    ),
  },
];

export function JobIds({ ids }: { ids: readonly string[] }) {
  const [first] = ids;
  if (first === undefined) return <span class="muted">–</span>;
  return (
    <span title={ids.slice(0, 50).join(", ")}>
      <a class="num inline-link" href={href(`/jobs/${each(first)}`)} tabIndex={-1}>
        {first}
      </a>
      {ids.length > 1 ? <span class="muted">{` +${ids.length - 1}`}</span> : null}
    </span>
  );
}

export function nodeCard(node: WorkerNode) {
  return (
    <>
      <span class="card-line">
        <a class="mono" href={href(`/nodes/${each(node.node_id)}`)} tabIndex={-1}>
          {node.host_name || node.node_id}
        </a>
        <Chip look={nodeLook(node.state)} />
      </span>
      <span class="card-line muted">
        <span>{node.resource}</span>
        <Cores node={node} />
        <span>
          for <Ago at={node.state_since_at} />
        </span>
      </span>
    </>
  );
}

const ACTIONS: readonly { action: NodeAction; name: string; icon: string }[] = [
  { action: "hold", name: "Hold", icon: "lock" },
  { action: "unhold", name: "Unhold", icon: "unlock" },
  { action: "vacate", name: "Vacate", icon: "exit" },
  { action: "delete", name: "Delete", icon: "trash" },
];

export function NodeButtons({ nodes, done }: { nodes: readonly WorkerNode[]; done?: () => void }) {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  return (
    <div class="buttons">
      {ACTIONS.map(({ action, name, icon }) => (
        <button
          type="button"
          key={action}
          class={`button small${action === "delete" ? " danger-quiet" : ""}`}
          // of several, states may have changed since they were selected: the question tells what is refused
          disabled={!app.operator || busy || (nodes.length === 1 && !nodes.some((node) => applies(action, node)))}
          title={app.operator ? undefined : "Log in as an operator to change nodes"}
          onClick={() => {
            setBusy(true);
            void askNodes(app, action, nodes, done).finally(() => setBusy(false));
          }}
        >
          <Icon name={icon} size={14} />
          {name}
        </button>
      ))}
    </div>
  );
}

export function NodesPage() {
  const app = useApp();
  const { query } = useRoute();
  const { state = "", resource = "", q = "" } = query;
  const sort = sortOf(query.sort, "host_name");
  const asked = path("/api/v1/nodes", { state, resource, q, sort: `${sort.down ? "-" : ""}${sort.by}` });
  const rows = useRows<WorkerNode>(asked, "nodes", ["nodes"]);
  const resources: Loaded<{ resources: Resource[] }> = useDocument("/api/v1/resources", ["resources"]);
  const [selected, setSelected] = useState<ReadonlyMap<string, WorkerNode>>(new Map());
  const ids = useMemo(() => new Set(selected.keys()), [selected]);
  const filtered = Boolean(state || resource || q);
  const narrow = useNarrow(); // there is no head of a table then

  // another question, another selection: nothing that is out of sight is ever changed
  // the filters are the reason
  useEffect(() => setSelected(new Map()), [state, resource, q]);

  const select = useCallback((node: WorkerNode, on: boolean) => {
    setSelected((old) => {
      const next = new Map(old);
      if (on) next.set(node.node_id, node);
      else next.delete(node.node_id);
      return next;
    });
  }, []);
  const selectAll = (on: boolean) => {
    if (!on) {
      setSelected(new Map());
      return;
    }
    rows
      .all(MOST_SELECTED)
      .then((all) => setSelected(new Map(all.map((node) => [node.node_id, node]))))
      .catch((error: Error) => app.say(error.message, true));
  };
  const clear = () => setSelected(new Map());

  return (
    <>
      <header class="page-head">
        <h1>Worker nodes</h1>
        <span class="muted num">
          {rows.loaded ? (filtered ? `${count(rows.total)} match` : count(rows.total)) : ""}
        </span>
        <SearchField label="Search nodes" placeholder="Host, address, instance, resource" value={q} />
      </header>
      <Filters>
        <StateFilter states={NODE_STATES} look={nodeLook} counts={rows.counts} chosen={words(state)} />
        <label class="select">
          <span class="sr">Resource</span>
          <select value={resource} onChange={(event) => refine({ resource: event.currentTarget.value })}>
            <option value="">All resources</option>
            {(resources.data?.resources ?? []).map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
      </Filters>
      <Stale error={rows.loaded ? rows.error : null} />
      {narrow && rows.total && selected.size < rows.total ? (
        <p>
          <button type="button" class="button small" onClick={() => selectAll(true)}>
            {`Select all ${count(rows.total)}`}
          </button>
        </p>
      ) : null}
      {selected.size ? (
        <div class="selection" role="region" aria-label="Selected nodes">
          <b class="num">{`${plural(selected.size, "node")} selected`}</b>
          <NodeButtons nodes={[...selected.values()]} done={clear} />
          <button type="button" class="plain" onClick={clear}>
            Clear
          </button>
          {app.operator ? null : <span class="muted small">Log in as an operator to change nodes.</span>}
        </div>
      ) : null}
      {!rows.loaded ? (
        rows.error ? (
          <Failure error={rows.error} again={rows.again} what="Worker nodes" />
        ) : (
          <Loading what="worker nodes" />
        )
      ) : rows.total === 0 ? (
        filtered ? (
          <Empty icon="search" title="No node matches">
            <button type="button" class="button" onClick={() => go("/nodes")}>
              Show all nodes
            </button>
          </Empty>
        ) : (
          <Empty icon="server" title="No worker nodes">
            They are launched when jobs wait. To launch some now: <a href={href("/resources")}>Resources</a>, “Add
            nodes”.
          </Empty>
        )
      ) : (
        <Table
          label="Worker nodes"
          columns={NODE_COLUMNS}
          total={rows.total}
          row={rows.row}
          see={rows.see}
          idOf={(node) => node.node_id}
          open={(node) => go(`/nodes/${each(node.node_id)}`)}
          sort={sort}
          onSort={(text) => refine({ sort: text === "host_name" ? "" : text }, true)}
          selected={ids}
          onSelect={select}
          onSelectAll={selectAll}
          card={nodeCard}
        />
      )}
    </>
  );
}
