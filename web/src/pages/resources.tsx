import { useEffect, useState } from "preact/hooks";
import { path } from "../api/client";
import type { Offer, Resource, WorkerNode } from "../api/types";
import { type Loaded, useDocument, useRows } from "../api/use";
import { askLaunch, askResource } from "../app/actions";
import { useApp } from "../app/context";
import { go, refine, useRoute } from "../app/router";
import { count, memory, money, plural } from "../lib/format";
import { href } from "../lib/route";
import { breakerLook, flagLook, grouped } from "../lib/states";
import { At, Chip, Empty, Facts, Failure, Legend, Loading, PartsBar, Stale } from "../ui/bits";
import { Icon } from "../ui/icon";
import { Table } from "../ui/table";
import { NODE_COLUMNS, NodeButtons, nodeCard } from "./nodes";

/** One line on the overview: its fill, and a word if something is wrong with it. */
export function ResourceLine({ resource }: { resource: Resource }) {
  const parts = grouped(resource.nodes_by_state).map((group) => ({
    name: group.name,
    tone: group.tone,
    value: group.count,
  }));
  return (
    <li>
      <a href={href("/resources", { name: resource.name })}>
        <span class="resource-name">
          {resource.name}
          <Word resource={resource} />
        </span>
        <span class="num muted">{`${resource.current_nodes} / ${resource.max_nodes}`}</span>
        <PartsBar parts={parts} full={resource.max_nodes} label={resource.name} />
      </a>
    </li>
  );
}

function Word({ resource }: { resource: Resource }) {
  if (resource.breaker.state !== "closed") return <Chip look={breakerLook(resource.breaker.state)} />;
  if (resource.flag !== "normal") return <Chip look={flagLook(resource.flag)} />;
  const [pause] = resource.backoffs;
  if (pause) return <Chip look={{ word: pause.word, tone: "wait", icon: "clock", means: pause.error }} />;
  return null;
}

export function ResourcesPage() {
  const { query } = useRoute();
  const list: Loaded<{ resources: Resource[] }> = useDocument("/api/v1/resources", ["resources", "nodes"]);
  const all = list.data?.resources ?? [];
  const order = [...all].sort((a, b) => a.priority - b.priority || a.name.localeCompare(b.name));
  return (
    <>
      <header class="page-head">
        <h1>Resources</h1>
        <span class="muted num">{list.data ? count(all.length) : ""}</span>
      </header>
      <Stale error={list.data ? list.error : null} />
      {!list.data ? (
        list.error ? (
          <Failure error={list.error} again={list.again} what="Resources" />
        ) : (
          <Loading what="resources" />
        )
      ) : all.length ? (
        <div class="resources">
          {order.map((resource) => (
            <ResourcePanel key={resource.name} resource={resource} open={query.name === resource.name} />
          ))}
        </div>
      ) : (
        <Empty icon="layers" title="No resources">
          A resource is a kind of node that can be launched. Add one to the section <code>cloud:</code> of the
          configuration, then reload it on the Settings page.
        </Empty>
      )}
    </>
  );
}

function limit(used: number, most: number | null): string {
  return most === null ? `${count(used)} used` : `${count(used)} of ${count(most)}`;
}

function ResourcePanel({ resource, open }: { resource: Resource; open: boolean }) {
  const app = useApp();
  const parts = grouped(resource.nodes_by_state).map((group) => ({
    name: group.name,
    tone: group.tone,
    value: group.count,
  }));
  const { reservation, breaker, quota } = resource;
  const reserved = [
    reservation.queue && `queue ${reservation.queue}`,
    reservation.account && `account ${reservation.account}`,
    reservation.property && `property ${reservation.property}`,
  ].filter(Boolean);
  const overridden =
    resource.min_nodes !== resource.configured_min_nodes || resource.max_nodes !== resource.configured_max_nodes;
  const full = resource.current_nodes >= resource.max_nodes;
  const hint = app.operator ? undefined : "Log in as an operator to change resources";
  return (
    <section class="panel resource" aria-label={resource.name}>
      <header class="panel-head">
        <h2>
          <button
            type="button"
            class="opener"
            aria-expanded={open}
            onClick={() => refine({ name: open ? "" : resource.name }, true)}
          >
            <span class={`caret${open ? " open" : ""}`} aria-hidden="true">
              <Icon name="left" size={14} />
            </span>
            {resource.name}
          </button>
        </h2>
        <Chip look={flagLook(resource.flag)} />
        {breaker.state === "closed" ? null : <Chip look={breakerLook(breaker.state)} />}
        <span class="muted">{`${resource.cloud} · ${resource.tenancy} · priority ${resource.priority}`}</span>
        <div class="panel-aside buttons">
          <button
            type="button"
            class="button small primary"
            disabled={!app.operator || full}
            title={hint ?? (full ? `It has its maximum of ${plural(resource.max_nodes, "node")}` : undefined)}
            onClick={() => askLaunch(app, resource)}
          >
            <Icon name="plus" size={14} />
            Add nodes
          </button>
          {resource.flag === "normal" ? (
            <button
              type="button"
              class="button small"
              disabled={!app.operator}
              title={hint}
              onClick={() => askResource(app, "freeze", resource)}
            >
              <Icon name="snow" size={14} />
              Freeze
            </button>
          ) : (
            <button
              type="button"
              class="button small"
              disabled={!app.operator}
              title={hint}
              onClick={() => askResource(app, "restore", resource)}
            >
              <Icon name="refresh" size={14} />
              Restore
            </button>
          )}
          <button
            type="button"
            class="button small"
            disabled={!app.operator || resource.flag.startsWith("drain")}
            title={hint}
            onClick={() => askResource(app, "drain", resource)}
          >
            <Icon name="drain" size={14} />
            Drain
          </button>
          {breaker.state !== "closed" || resource.backoffs.length ? (
            <button
              type="button"
              class="button small"
              disabled={!app.operator}
              title={hint}
              onClick={() => askResource(app, "reset", resource)}
            >
              <Icon name="check" size={14} />
              Forget failures
            </button>
          ) : null}
        </div>
      </header>
      <div class="resource-body">
        <div class="fill">
          <p class="fill-words">
            <b class="num">{resource.current_nodes}</b> of at most <b class="num">{resource.max_nodes}</b>
            <span class="muted">{`, at least ${resource.min_nodes}`}</span>
            {overridden ? (
              <span class="muted">{` (configured: ${resource.configured_min_nodes} to ${resource.configured_max_nodes})`}</span>
            ) : null}
          </p>
          <PartsBar parts={parts} full={resource.max_nodes} label={`${resource.name}: nodes`} />
          <Legend parts={parts} />
        </div>
        <Facts
          rows={[
            [
              "A node has",
              `${resource.capacity.cores} cores, ${memory(resource.capacity.memory_mib)}${resource.capacity.gpus ? `, ${resource.capacity.gpus} GPU${resource.capacity.gpus > 1 ? "s" : ""} ${resource.gpu_type}` : ""}`,
            ],
            [
              "Price",
              resource.price_per_hour
                ? `${money(resource.price_per_hour)} per node and hour; now ${money(resource.cost_per_hour)} per hour`
                : "free, or none given",
            ],
            ["Reserved for", reserved.join(", ") || "everybody"],
            ["Queues", resource.queues.join(", ") || "all"],
          ]}
        />
        <Facts
          rows={[
            ["Features", resource.features.join(", ")],
            ["Instances", quota ? limit(quota.used_instances, quota.max_instances) : "no quota known"],
            ["Cores of quota", quota ? limit(quota.used_cores, quota.max_cores) : ""],
            ["Others' machines", resource.strangers ? plural(resource.strangers, "machine") : "none seen"],
          ]}
        />
      </div>
      {breaker.state !== "closed" ? (
        <p class="notice tone-bad">
          <Icon name="warn" />
          <span>
            {`Failed ${plural(breaker.failures, "time")}: ${breaker.error} `}
            {breaker.retry_at ? (
              <>
                Tried again with one node at <At at={breaker.retry_at} />.
              </>
            ) : null}
          </span>
        </p>
      ) : null}
      {resource.backoffs.map((pause) => (
        <p class="notice tone-wait" key={pause.scope}>
          <Icon name="clock" />
          <span>
            {`${pause.scope.replace(":", " ")}: ${pause.word}${pause.error ? ` (${pause.error})` : ""}. Asked again at `}
            <At at={pause.until_at} />.
          </span>
        </p>
      ))}
      {resource.announced ? (
        <p class="notice tone-wait">
          <Icon name="warn" />
          <span>{`The cloud will take ${plural(resource.announced, "machine")} of it away soon.`}</span>
        </p>
      ) : null}
      {resource.offers.length > 1 ? <Offers offers={resource.offers} /> : null}
      {open ? <ResourceNodes name={resource.name} /> : null}
    </section>
  );
}

const FIRST_OFFERS = 8;

/** A menu: what the resource can be, the cheapest first. */
function Offers({ offers }: { offers: readonly Offer[] }) {
  const [all, setAll] = useState(false);
  const order = [...offers].sort(
    (a, b) => (a.price_per_hour ?? Number.POSITIVE_INFINITY) - (b.price_per_hour ?? Number.POSITIVE_INFINITY),
  );
  const shown = all ? order : order.slice(0, FIRST_OFFERS);
  return (
    <div class="scroll-x offers">
      <table class="plain-table">
        <thead>
          <tr>
            <th scope="col">It can be</th>
            <th scope="col">Zone</th>
            <th scope="col">Market</th>
            <th scope="col">Has</th>
            <th scope="col" class="num">
              Per hour
            </th>
            <th scope="col">Now</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((offer) => (
            <tr key={offer.offering}>
              <td class="mono">{offer.instance_type || offer.offering}</td>
              <td>{offer.zone || "–"}</td>
              <td>{offer.market || "–"}</td>
              <td>{`${offer.capacity.cores} cores, ${memory(offer.capacity.memory_mib)}${offer.capacity.gpus ? `, ${offer.capacity.gpus} GPU ${offer.gpu_type}` : ""}`}</td>
              <td class="num">{offer.price_per_hour === null ? "not known" : money(offer.price_per_hour)}</td>
              <td>
                {offer.pause ? (
                  <>
                    {`${offer.pause}, asked again at `}
                    <At at={offer.until_at} />
                  </>
                ) : (
                  "can be asked for"
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {order.length > shown.length ? (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {`All ${order.length}`}
        </button>
      ) : null}
    </div>
  );
}

function ResourceNodes({ name }: { name: string }) {
  const app = useApp();
  const rows = useRows<WorkerNode>(path("/api/v1/nodes", { resource: name, sort: "host_name" }), "nodes", ["nodes"]);
  const [selected, setSelected] = useState<ReadonlyMap<string, WorkerNode>>(new Map());
  // another resource, another selection
  useEffect(() => setSelected(new Map()), [name]);
  if (!rows.loaded)
    return rows.error ? (
      <Failure error={rows.error} again={rows.again} what="Its nodes" />
    ) : (
      <Loading what="its nodes" />
    );
  if (!rows.total) return <p class="muted pad">No nodes of this resource.</p>;
  return (
    <div class="resource-nodes">
      <div class="selection inline">
        <span class="muted">
          {selected.size ? `${plural(selected.size, "node")} selected` : "Select nodes to change them"}
        </span>
        <NodeButtons nodes={[...selected.values()]} done={() => setSelected(new Map())} />
        <a href={href("/nodes", { resource: name })}>Open in Worker nodes</a>
      </div>
      <Table
        label={`Nodes of ${name}`}
        fit={10}
        columns={NODE_COLUMNS.filter((column) => column.key !== "resource" && column.key !== "price")}
        total={rows.total}
        row={rows.row}
        see={rows.see}
        idOf={(node) => node.node_id}
        open={(node) => go(`/nodes/${encodeURIComponent(node.node_id)}`)}
        selected={new Set(selected.keys())}
        onSelect={(node, on) =>
          setSelected((old) => {
            const next = new Map(old);
            if (on) next.set(node.node_id, node);
            else next.delete(node.node_id);
            return next;
          })
        }
        onSelectAll={(on) => {
          if (!on) setSelected(new Map());
          else
            rows
              .all(10_000)
              .then((all) => setSelected(new Map(all.map((node) => [node.node_id, node]))))
              .catch((error: Error) => app.say(error.message, true));
        }}
        card={nodeCard}
      />
    </div>
  );
}
