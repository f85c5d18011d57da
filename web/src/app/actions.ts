// Changes that pages offer: each asks first, naming what will happen, and says afterwards what was done and refused.

import { ApiFailure, changes, get, path } from "../api/client";
import { ALL } from "../api/live";
import type { BulkReply, NodeAction, NodeList, Resource, WorkerNode } from "../api/types";
import { live } from "../api/use";
import { madeUp, named, ofLaunch, ofNodes, ofResource } from "../lib/consequences";
import { count, plural } from "../lib/format";
import type { App } from "./context";

const MOST = 200; // nodes of one request, as the API allows
const DID: Record<NodeAction, string> = {
  hold: "Hold asked for",
  unhold: "Unhold asked for",
  vacate: "Vacating",
  delete: "Deletion asked for",
};

/** "Held 3 nodes. Refused: a (not idle)". */
export function summary(action: NodeAction, reply: BulkReply): string {
  const said = reply.done.length ? [`${DID[action]}: ${plural(reply.done.length, "node")}.`] : [];
  const [first] = reply.refused;
  if (first) {
    const others = reply.refused.length > 1 ? ` (and ${reply.refused.length - 1} more)` : "";
    said.push(`Refused: ${first.node}${others}: ${first.message}`);
  }
  return said.join(" ") || "Nothing to do.";
}

/** What a change of many nodes that broke off has to tell. */
export function halfDone(done: string, left: number, failure: unknown): Error {
  const why = failure instanceof Error ? failure.message : String(failure);
  const text = `${done} Then it broke off: ${why} Not asked for: the last ${plural(left, "node")}.`;
  return failure instanceof ApiFailure ? new ApiFailure(failure.status, failure.code, text) : new Error(text);
}

export type Nodes = readonly Pick<WorkerNode, "node_id" | "host_name" | "state" | "jobs" | "resource">[];

const SINGLY = 8; // so few are asked for one by one
const PAGE = 1000;

/**
 * These nodes as they are now: one may have got a job, or have gone, since it was selected. What a question says must
 * be true when it is asked.
 */
export async function asTheyAre(nodes: Nodes): Promise<WorkerNode[]> {
  if (nodes.length <= SINGLY) {
    const found = await Promise.all(
      nodes.map((node) =>
        get<WorkerNode>(`/api/v1/nodes/${encodeURIComponent(node.node_id)}`).catch((failure: unknown) => {
          if (failure instanceof ApiFailure && failure.status === 404) return null;
          throw failure;
        }),
      ),
    );
    return found.filter((node) => node !== null);
  }
  const now = new Map<string, WorkerNode>();
  for (let after = ""; ; ) {
    const page = await get<NodeList>(path("/api/v1/nodes", { limit: PAGE, after }));
    for (const node of page.nodes) now.set(node.node_id, node);
    if (!page.next) break;
    after = page.next;
  }
  return nodes.flatMap((node) => now.get(node.node_id) ?? []);
}

/** Ask whether to do this to these nodes, in their present states. */
export async function askNodes(
  app: App,
  action: NodeAction,
  chosen: Nodes,
  done: () => void = () => {},
): Promise<void> {
  try {
    const nodes = await asTheyAre(chosen);
    if (nodes.length) ask(app, action, nodes, chosen.length - nodes.length, done);
    else app.say(chosen.length === 1 ? "This node has gone." : "All of these nodes have gone.", true);
  } catch (failure) {
    app.say(failure instanceof Error ? failure.message : String(failure), true);
  }
}

function ask(app: App, action: NodeAction, nodes: Nodes, gone: number, done: () => void): void {
  const phrase = (force: boolean) => {
    const consequence = ofNodes(action, nodes, force);
    return nodes.length > 1
      ? {
          ...consequence,
          lines: [
            named(nodes.map((node) => node.host_name || node.node_id)),
            madeUp(nodes),
            ...(gone ? [`${plural(gone, "node")} of the selected ${gone === 1 ? "has" : "have"} gone since.`] : []),
            ...consequence.lines,
          ],
        }
      : consequence;
  };
  const working = nodes.some((node) => node.state === "idle" || node.state === "busy");
  app.ask({
    ...phrase(false),
    ...(action === "delete" && working
      ? { option: { label: "Delete working nodes too, when empty", on: false, rephrase: phrase } }
      : {}),
    run: async (force, _number, progress) => {
      const [only] = nodes;
      if (only && nodes.length === 1) {
        await changes.node(action, only.node_id, force);
        done();
        live.tell(new Set(ALL));
        return summary(action, { done: [only.node_id], refused: [] });
      }
      const total: BulkReply = { done: [], refused: [] };
      for (let from = 0; from < nodes.length; from += MOST) {
        const ids = nodes.slice(from, from + MOST).map((node) => node.node_id);
        if (nodes.length > MOST) progress(`${count(from)} of ${count(nodes.length)} …`);
        try {
          const reply = await changes.nodes(action, ids, force);
          total.done.push(...reply.done);
          total.refused.push(...reply.refused);
        } catch (failure) {
          if (!from) throw failure;
          // what was asked before is committed: it must not look as if nothing was
          live.tell(new Set(ALL));
          throw halfDone(summary(action, total), nodes.length - from, failure);
        }
      }
      done();
      live.tell(new Set(ALL));
      return summary(action, total);
    },
  });
}

export function askResource(app: App, action: "freeze" | "restore" | "drain" | "reset", resource: Resource): void {
  app.ask({
    ...ofResource(action, resource),
    run: async () => {
      const reply = await changes.resource(resource.name, action);
      live.tell(new Set(ALL));
      return reply.message || `${resource.name}: ${action} done.`;
    },
  });
}

export function askLaunch(app: App, resource: Resource): void {
  const most = Math.max(1, resource.max_nodes - resource.current_nodes);
  const phrase = (value: number) => ofLaunch(resource, value);
  app.ask({
    ...phrase(1),
    number: { label: "How many", value: 1, least: 1, most, rephrase: phrase },
    run: async (_option, value) => {
      const reply = await changes.launch(resource.name, value);
      live.tell(new Set(ALL));
      return reply.message || `${plural(value, "node")} of ${resource.name} asked for.`;
    },
  });
}

export function askAuto(app: App, on: boolean): void {
  app.ask({
    title: on ? "Switch automatic mode on?" : "Switch automatic mode off?",
    lines: on
      ? ["Nodes are launched for waiting jobs, and idle ones are removed, as the limits say."]
      : [
          "No node is launched or removed by itself. What people ask for is still done. Jobs that wait for new nodes wait on.",
        ],
    verb: on ? "Switch on" : "Switch off",
    danger: !on,
    refused: [],
    run: async () => {
      const reply = await changes.auto(on);
      live.tell(new Set(ALL));
      return reply.message || `Automatic mode is ${on ? "on" : "off"}.`;
    },
  });
}

export function askObserve(app: App, on: boolean): void {
  app.ask({
    title: on ? "Switch observe-only on?" : "Switch observe-only off?",
    lines: on
      ? [
          "The service only looks, and lists what it would do. Nothing is launched, held or removed, not even when asked.",
        ]
      : ["The service acts: what it proposes now is done from the next decision on."],
    verb: on ? "Only observe" : "Let it act",
    danger: !on,
    refused: [],
    run: async () => {
      const reply = await changes.observe(on);
      live.tell(new Set(ALL));
      return reply.message || `Observe-only is ${on ? "on" : "off"}.`;
    },
  });
}

export function askReload(app: App): void {
  app.ask({
    title: "Read the configuration again?",
    lines: ["A configuration with mistakes is refused, and the old one stays in force."],
    verb: "Reload",
    danger: false,
    refused: [],
    run: async () => {
      const reply = await changes.reload();
      live.tell(new Set(ALL));
      return reply.message || "The configuration was read again.";
    },
  });
}
