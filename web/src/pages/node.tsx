import { useState } from "preact/hooks";
import { ApiFailure, changes } from "../api/client";
import type { Graphs, HistoryEvent, NodeDetail } from "../api/types";
import { type Loaded, serviceTime, useDocument } from "../api/use";
import { useApp } from "../app/context";
import { instant, memory, money, plural } from "../lib/format";
import { lifeOf } from "../lib/life";
import { href } from "../lib/route";
import { nodeLook } from "../lib/states";
import { Ago, At, Chip, Empty, Facts, Failure, Loading, Panel, Stale } from "../ui/bits";
import { EventLines } from "../ui/events";
import { Icon } from "../ui/icon";
import { RangePicker, useRange } from "../ui/timeline";
import { NodeGraphs, useRefresh } from "./graphite";
import { Cores, NodeButtons } from "./nodes";

const each = encodeURIComponent;

export function NodePage({ name }: { name: string }) {
  const node: Loaded<NodeDetail> = useDocument(`/api/v1/nodes/${each(name)}`, ["nodes", "events"]);
  const events: Loaded<{ events: HistoryEvent[] }> = useDocument(`/api/v1/events?node=${each(name)}&limit=500`, [
    "events",
  ]);
  const history = events.data?.events ?? node.data?.history ?? [];
  const gone = node.error?.status === 404;
  if (!node.data && !gone) {
    return node.error ? (
      <Failure error={node.error} again={node.again} what="This node" />
    ) : (
      <Loading what="the node" />
    );
  }
  return (
    <>
      <Back />
      {node.data && !gone ? <Living node={node.data} /> : <Gone name={name} history={history} />}
      <Stale error={gone ? null : node.error} />
      <Life history={history} state={gone ? "gone" : (node.data?.state ?? "")} />
      {node.data && !gone ? <Measured host={node.data.host_name} /> : null}
      {node.data && !gone ? <Console node={node.data} /> : null}
    </>
  );
}

function Back() {
  return (
    <p class="back">
      <a href={href("/nodes")}>
        <Icon name="left" size={14} />
        Worker nodes
      </a>
    </p>
  );
}

function Gone({ name, history }: { name: string; history: readonly HistoryEvent[] }) {
  return (
    <>
      <header class="page-head">
        <h1 class="mono">{history[0]?.host_name || name}</h1>
        <Chip look={nodeLook("gone")} />
      </header>
      {history.length ? (
        <p class="muted">This node is no more. Its history is kept.</p>
      ) : (
        <Empty icon="question" title="No such node">
          Neither a node nor any event has this name.
        </Empty>
      )}
    </>
  );
}

function Living({ node }: { node: NodeDetail }) {
  return (
    <>
      <header class="page-head">
        <h1 class="mono">{node.host_name || node.node_id}</h1>
        <Chip look={nodeLook(node.state)} />
        <span class="muted">
          for <Ago at={node.state_since_at} />
        </span>
        <NodeButtons nodes={[node]} />
      </header>
      {node.reason ? <p class="lead">{node.reason}</p> : null}
      <div class="thirds">
        <Panel title="What we intend">
          <Facts
            rows={[
              ["Resource", <a href={href("/resources", { name: node.resource })}>{node.resource}</a>],
              ["In the original's words", node.original_state],
              ["Cores in use", <Cores node={node} />],
              ["Memory", memory(node.capacity.memory_mib)],
              ["GPUs", node.capacity.gpus || "–"],
              ["Price per hour", node.price_per_hour ? money(node.price_per_hour) : "–"],
              ["Created", <At at={node.created_at} />],
              ["Joined", <At at={node.joined_at} />],
              ["First job", <At at={node.first_job_at} />],
              ...(node.hold_why ? ([["Held because", node.hold_why]] as const) : []),
              ...(node.steps_to_do.length ? ([["Still to do", node.steps_to_do.join(", ")]] as const) : []),
              ...(node.failed_attempts ? ([["Failed attempts", String(node.failed_attempts)]] as const) : []),
              ...(node.action ? ([["Under way", `${node.action.kind}: ${node.action.reason}`]] as const) : []),
              ["Node id", <span class="mono">{node.node_id}</span>],
            ]}
          />
        </Panel>
        <Panel title="What the scheduler says">
          {node.host ? (
            <Facts
              rows={[
                [
                  "State",
                  node.host.detail && node.host.detail !== node.host.state
                    ? `${node.host.state} (${node.host.detail})`
                    : node.host.state,
                ],
                ["Cores in use", `${node.host.used.cores} of ${node.host.total.cores}`],
                ["Memory", memory(node.host.total.memory_mib)],
                ["Queues", node.host.queues.join(", ")],
                ["Features", node.host.features.join(", ")],
                ["Hold", node.host.hold_mark || (node.host.hold_ours ? "ours" : "")],
                ["Jobs", node.host.jobs.length || node.jobs.length ? <JobLinks ids={node.jobs} /> : ""],
              ]}
            />
          ) : (
            <Empty icon="server" title="The scheduler does not know it">
              {node.joined_at ? "It was taken out." : "It has not joined yet."}
            </Empty>
          )}
        </Panel>
        <Panel title="What the cloud says">
          {node.instance ? (
            <Facts
              rows={[
                ["State", node.instance.state],
                ["Instance", <span class="mono">{node.instance.instance_id}</span>],
                ["Name", <span class="mono">{node.instance.name}</span>],
                ["Address", <span class="mono">{node.instance.address || node.address}</span>],
                ["Offering", node.instance.offering],
                ["Tenancy", node.tenancy],
                ["Created", <At at={node.instance.created_at} />],
                ...(node.instance.fault
                  ? ([["Fault", <span class="text-bad">{node.instance.fault}</span>]] as const)
                  : []),
              ]}
            />
          ) : (
            <Empty icon="layers" title="The cloud lists no machine">
              {node.instance_id
                ? `${node.instance_id} is not in the last list of ${node.tenancy}.`
                : "None is bound to this node yet."}
            </Empty>
          )}
        </Panel>
      </div>
    </>
  );
}

function JobLinks({ ids }: { ids: readonly string[] }) {
  const shown = ids.slice(0, 20);
  return (
    <span class="links">
      {shown.map((id) => (
        <a key={id} class="num" href={href(`/jobs/${each(id)}`)}>
          {id}
        </a>
      ))}
      {ids.length > shown.length ? <span class="muted">{`and ${ids.length - shown.length} more`}</span> : null}
    </span>
  );
}

function Life({ history, state }: { history: readonly HistoryEvent[]; state: string }) {
  const { spans } = lifeOf(history, state === "gone" ? null : serviceTime());
  const whole = spans.reduce((sum, span) => sum + span.seconds, 0);
  // the shortest is still seen; of a long life with many turns all of them together may not crowd out the long ones
  const least = whole / Math.max(40, 6 * spans.length);
  return (
    <Panel
      title="Its life"
      aside={history.length ? <span class="muted">{plural(history.length, "event")}</span> : null}
    >
      {spans.length > 1 ? (
        <div
          class="life"
          role="img"
          aria-label={spans.map((span) => `${nodeLook(span.state).word} from ${instant(span.at)}`).join(", ")}
        >
          {spans.map((span) => (
            <span
              key={`${span.at} ${span.state}`}
              class={`life-part tone-${nodeLook(span.state).tone}`}
              style={{ flexGrow: Math.max(span.seconds, least) }}
              title={`${nodeLook(span.state).word} from ${instant(span.at)}`}
            >
              {span.seconds > whole / 25 || spans.length <= 8 ? <span>{nodeLook(span.state).word}</span> : null}
            </span>
          ))}
        </div>
      ) : null}
      {history.length ? (
        <EventLines events={history} subject={false} />
      ) : (
        <Empty icon="history" title="No events kept of it" />
      )}
    </Panel>
  );
}

/** Load, memory, network and disk, where the nodes' collectors tell Graphite and the service may ask it. */
function Measured({ host }: { host: string }) {
  const graphs: Loaded<Graphs> = useDocument("/api/v1/graphs", []);
  const range = useRange();
  const everyMs = useRefresh();
  const names = graphs.data?.node_graphs ?? [];
  if (!names.length || !host) return null;
  return (
    <section class="measured" aria-labelledby="measured">
      <header class="panel-head">
        <h2 id="measured">What Graphite has of it</h2>
        <div class="panel-aside">
          <RangePicker range={range} />
        </div>
      </header>
      <NodeGraphs node={host} names={names} range={range} everyMs={everyMs} />
    </section>
  );
}

const UNJOINED = new Set(["starting", "configuring", "joining", "failed", "unsettled", "quarantined", "down"]);

function Console({ node }: { node: NodeDetail }) {
  const app = useApp();
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const ask = () => {
    setBusy(true);
    setError("");
    changes
      .console(node.node_id)
      .then((answer) => setText(answer.text))
      .catch((failure: unknown) => setError(failure instanceof ApiFailure ? failure.message : String(failure)))
      .finally(() => setBusy(false));
  };
  return (
    <Panel
      title="Console"
      aside={
        <button type="button" class="button small" onClick={ask} disabled={busy || !app.operator}>
          <Icon name="terminal" size={14} />
          {busy ? "Asking the cloud …" : text === null ? "Show the last lines" : "Ask again"}
        </button>
      }
    >
      {error ? (
        <p class="notice tone-bad" role="alert">
          <Icon name="warn" />
          <span>{error}</span>
        </p>
      ) : null}
      {text === null ? (
        <p class="muted">
          {app.operator
            ? UNJOINED.has(node.state)
              ? "The last lines of its console often say why a node does not join. They are asked of the cloud when you want them."
              : "The last lines of its console are asked of the cloud when you want them."
            : "Operators can ask the cloud for the last lines of its console. Log in to do so."}
        </p>
      ) : text ? (
        // it scrolls, so the keyboard must reach it
        <pre class="console" tabIndex={0} role="region" aria-label="Console">
          {text}
        </pre>
      ) : (
        <Empty icon="terminal" title="The cloud has no console output of it" />
      )}
    </Panel>
  );
}
