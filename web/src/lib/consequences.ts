// What an action will do, in words, before it is done: the text of confirmations. Pure.

import type { NodeAction, Resource, WorkerNode } from "../api/types";
import { count, plural } from "./format";

export interface Consequence {
  title: string;
  /** one sentence each */
  lines: string[];
  /** the word on the button */
  verb: string;
  danger: boolean;
  /** what the service will refuse, one sentence each */
  refused: string[];
  /** nothing would be done: all of it would be refused */
  idle?: boolean;
}

const WORKING = new Set(["idle", "busy"]);
const HELD = new Set(["holding", "held"]);
const ENDING = new Set(["removing", "terminating", "forgetting", "evacuating", "gone"]);
const COMING = new Set(["requested", "unsettled", "starting", "configuring", "joining"]);

type Few = Pick<WorkerNode, "host_name" | "node_id" | "state" | "jobs">;

/** "a, b, c and 4 more". */
export function named(names: readonly string[], most = 6): string {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${count(names.length - most)} more`;
}

/** "212 busy, 88 idle; of cloud-small (210), rack (90)": what a long list of names does not tell. */
export function madeUp(nodes: readonly (Few & { resource?: string })[]): string {
  const told = (words: string[], say: (word: string, number: number) => string) => {
    const numbers = new Map<string, number>();
    for (const word of words) numbers.set(word, (numbers.get(word) ?? 0) + 1);
    return [...numbers].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([word, n]) => say(word, n));
  };
  const states = told(
    nodes.map((node) => node.state),
    (word, n) => `${count(n)} ${word}`,
  );
  const resources = told(
    nodes.flatMap((node) => node.resource ?? []),
    (word, n) => `${word} (${count(n)})`,
  );
  return `${states.join(", ")}${resources.length ? `; of ${named(resources)}` : ""}.`;
}

function inStates(nodes: readonly Few[], states: ReadonlySet<string>): number {
  return nodes.filter((node) => states.has(node.state)).length;
}

function jobsOn(nodes: readonly Few[]): number {
  return new Set(nodes.flatMap((node) => node.jobs)).size;
}

/** Whether the service may do this to a node in its present state; a working node can be deleted once it is empty. */
export function applies(action: NodeAction, { state }: Pick<WorkerNode, "state">): boolean {
  switch (action) {
    case "hold":
      return WORKING.has(state);
    case "unhold":
      return HELD.has(state);
    case "vacate":
      return WORKING.has(state) || HELD.has(state);
    case "delete":
      return !ENDING.has(state);
  }
}

export function ofNodes(action: NodeAction, nodes: readonly Few[], force: boolean): Consequence {
  const what = nodes.length === 1 ? (nodes[0]?.host_name ?? "") : plural(nodes.length, "node");
  const busy = nodes.filter((node) => node.state === "busy" || node.jobs.length > 0);
  const jobs = jobsOn(nodes);
  const lines: string[] = [];
  const refused: string[] = [];
  switch (action) {
    case "hold": {
      lines.push("The scheduler is asked to start no new jobs there.");
      if (busy.length) lines.push(`${plural(jobs, "running job")} on ${plural(busy.length, "node")} run to their end.`);
      lines.push("Held nodes stay, and cost money, until somebody unholds or deletes them.");
      const not = nodes.length - inStates(nodes, WORKING);
      if (not)
        refused.push(`${plural(not, "node")} ${not === 1 ? "is" : "are"} neither idle nor busy and will be refused.`);
      return { title: `Hold ${what}?`, lines, verb: "Hold", danger: false, refused, idle: not === nodes.length };
    }
    case "unhold": {
      lines.push("Jobs may start there again, and idle nodes may be scaled down as usual.");
      const not = nodes.length - inStates(nodes, HELD);
      if (not) refused.push(`${plural(not, "node")} ${not === 1 ? "is" : "are"} not held and will be refused.`);
      return { title: `Unhold ${what}?`, lines, verb: "Unhold", danger: false, refused, idle: not === nodes.length };
    }
    case "vacate": {
      lines.push(
        "The nodes are held, and the scheduler is asked to move their jobs away: jobs are requeued and start again from the beginning.",
      );
      lines.push(jobs ? `${plural(jobs, "job")} will be interrupted.` : "No jobs run there as last seen.");
      const not = nodes.length - inStates(nodes, WORKING) - inStates(nodes, HELD);
      if (not) refused.push(`${plural(not, "node")} ${not === 1 ? "is" : "are"} not in service and will be refused.`);
      return { title: `Vacate ${what}?`, lines, verb: "Vacate", danger: jobs > 0, refused, idle: not === nodes.length };
    }
    case "delete": {
      const working = nodes.filter((node) => WORKING.has(node.state));
      const free = nodes.length - working.length - inStates(nodes, ENDING);
      if (free > 0)
        lines.push(
          `${plural(free, "node")} ${free === 1 ? "is" : "are"} taken out of the scheduler and ended in the cloud. This cannot be undone.`,
        );
      if (working.length && force) {
        lines.push(
          `${plural(working.length, "working node")} ${working.length === 1 ? "is" : "are"} held now and deleted once empty; running jobs finish first.`,
        );
      } else if (working.length) {
        refused.push(
          `${plural(working.length, "node")} ${working.length === 1 ? "works" : "work"}: hold first, or choose “when empty” below.`,
        );
      }
      const coming = inStates(nodes, COMING);
      if (coming) lines.push(`${plural(coming, "node")} of these ${coming === 1 ? "is" : "are"} still starting.`);
      const ending = inStates(nodes, ENDING);
      if (ending) refused.push(`${plural(ending, "node")} ${ending === 1 ? "is" : "are"} on the way out already.`);
      return {
        title: `Delete ${what}?`,
        lines,
        verb: "Delete",
        danger: true,
        refused,
        idle: free <= 0 && !(working.length && force),
      };
    }
  }
}

export function ofResource(action: "freeze" | "restore" | "drain" | "reset", resource: Resource): Consequence {
  const { name, current_nodes: now, configured_min_nodes: least, configured_max_nodes: most } = resource;
  const refused: string[] = [];
  switch (action) {
    case "freeze":
      return {
        title: `Freeze ${name}?`,
        lines: [
          `It stays at ${plural(now, "node")}: minimum and maximum become ${now}.`,
          "It neither grows nor shrinks until it is restored.",
        ],
        verb: "Freeze",
        danger: false,
        refused,
      };
    case "restore":
      return {
        title: `Restore ${name}?`,
        lines: [`The configured limits hold again: ${least} to ${plural(most, "node")}.`],
        verb: "Restore",
        danger: false,
        refused,
      };
    case "drain":
      return {
        title: `Drain ${name}?`,
        lines: [
          "Its minimum and maximum become 0. Nodes that are free are deleted; working ones are held and deleted once their jobs have ended.",
          `${plural(now, "node")} ${now === 1 ? "is" : "are"} concerned.`,
        ],
        verb: "Drain",
        danger: true,
        refused,
      };
    case "reset":
      return {
        title: `Forget the failures of ${name}?`,
        lines: ["Launches are tried again at the next decision."],
        verb: "Reset",
        danger: false,
        refused,
      };
  }
}

export function ofLaunch(resource: Resource, nodes: number): Consequence {
  const price = resource.price_per_hour * nodes;
  const lines = [
    `${plural(nodes, "machine")} of ${resource.capacity.cores} cores ${nodes === 1 ? "is" : "are"} asked of ${resource.tenancy} now, whether or not jobs wait.`,
  ];
  if (price > 0)
    lines.push(
      `${nodes === 1 ? "It costs" : "They cost"} ${price.toFixed(2)} per hour while ${nodes === 1 ? "it exists" : "they exist"}.`,
    );
  const refused =
    resource.current_nodes + nodes > resource.max_nodes
      ? [`The maximum is ${resource.max_nodes}, and there are ${resource.current_nodes}: the service will refuse.`]
      : [];
  return {
    title: `Add ${plural(nodes, "node")} to ${resource.name}?`,
    lines,
    verb: `Add ${nodes}`,
    danger: false,
    refused,
  };
}
