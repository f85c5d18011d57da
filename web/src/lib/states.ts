// The words of states as people read them, each with a tone and an icon: colour is never the only sign. Pure.

export type Tone = "busy" | "good" | "wait" | "hold" | "bad" | "quiet" | "leave";

export interface Look {
  word: string;
  tone: Tone;
  icon: string;
  /** what the state means, as a tooltip */
  means: string;
}

const NODE: Record<string, Look> = {
  requested: {
    word: "Requested",
    tone: "wait",
    icon: "clock",
    means: "The launch is decided; the cloud has not answered yet.",
  },
  unsettled: {
    word: "Unsettled",
    tone: "wait",
    icon: "question",
    means: "The cloud's reply was lost: the machine may or may not exist.",
  },
  starting: { word: "Starting", tone: "wait", icon: "clock", means: "The cloud builds the machine." },
  configuring: { word: "Configuring", tone: "wait", icon: "clock", means: "The machine runs and is being set up." },
  joining: { word: "Joining", tone: "wait", icon: "clock", means: "The scheduler knows it; it is not usable yet." },
  idle: { word: "Idle", tone: "good", icon: "circle", means: "Ready for jobs." },
  busy: { word: "Busy", tone: "busy", icon: "play", means: "Jobs run here." },
  holding: {
    word: "Holding",
    tone: "hold",
    icon: "pause",
    means: "New jobs are kept away; not yet seen held and empty.",
  },
  held: { word: "Held", tone: "hold", icon: "lock", means: "Held and empty." },
  down: { word: "Down", tone: "bad", icon: "cross", means: "The scheduler says that it is down." },
  failed: { word: "Failed", tone: "bad", icon: "cross", means: "It never became usable, or was lost." },
  evacuating: {
    word: "Evacuating",
    tone: "bad",
    icon: "cross",
    means: "Dead with jobs: they are dealt with as configured.",
  },
  removing: { word: "Removing", tone: "leave", icon: "exit", means: "Being taken out of the scheduler." },
  terminating: {
    word: "Terminating",
    tone: "leave",
    icon: "exit",
    means: "Being ended in the cloud, until confirmed gone.",
  },
  forgetting: { word: "Forgetting", tone: "leave", icon: "exit", means: "Gone; its name and hooks are cleaned up." },
  quarantined: {
    word: "Quarantined",
    tone: "bad",
    icon: "warn",
    means: "Something impossible happened: a person decides.",
  },
  gone: { word: "Gone", tone: "quiet", icon: "dash", means: "It is no more." },
};

const JOB: Record<string, Look> = {
  pending: { word: "Queued", tone: "wait", icon: "clock", means: "Waits for resources or for its turn." },
  starting: { word: "Starting", tone: "wait", icon: "clock", means: "Has nodes and waits for them." },
  running: { word: "Running", tone: "busy", icon: "play", means: "Runs." },
  suspended: { word: "Suspended", tone: "hold", icon: "pause", means: "Stopped for now; it keeps its nodes." },
  completing: { word: "Completing", tone: "leave", icon: "exit", means: "Ends; it still occupies its nodes." },
  done: { word: "Done", tone: "quiet", icon: "dash", means: "Ended, still listed." },
  unknown: { word: "Unknown", tone: "bad", icon: "question", means: "The scheduler uses a word that we do not know." },
};

const FLAG: Record<string, Look> = {
  normal: { word: "Normal", tone: "good", icon: "circle", means: "Grows and shrinks with demand." },
  frozen: { word: "Frozen", tone: "hold", icon: "lock", means: "Neither grows nor shrinks until restored." },
  draining: { word: "Draining", tone: "leave", icon: "exit", means: "Its nodes are being emptied and removed." },
  drained: { word: "Drained", tone: "quiet", icon: "dash", means: "Emptied; gets no nodes until restored." },
};

const BREAKER: Record<string, Look> = {
  closed: { word: "Healthy", tone: "good", icon: "circle", means: "Launches succeed." },
  open: {
    word: "Closed after failures",
    tone: "bad",
    icon: "cross",
    means: "Launches kept failing: none until the next trial.",
  },
  "half-open": {
    word: "On trial",
    tone: "wait",
    icon: "clock",
    means: "One node is launched to see whether it works again.",
  },
};

const KIND: Record<string, Look> = {
  node: { word: "Node", tone: "busy", icon: "server", means: "A node changed its state." },
  action: { word: "Action", tone: "wait", icon: "play", means: "An action ended otherwise than expected." },
  resource: { word: "Resource", tone: "hold", icon: "layers", means: "Breaker, back-off, freeze, drain." },
  job: { word: "Job", tone: "good", icon: "list", means: "Something about one job." },
  command: { word: "Command", tone: "leave", icon: "person", means: "What somebody asked, and the answer." },
  source: { word: "Source", tone: "wait", icon: "signal", means: "A source failed or came back." },
  service: { word: "Service", tone: "quiet", icon: "gear", means: "Start, stop, reload, changes of mode." },
  warning: { word: "Warning", tone: "bad", icon: "warn", means: "Somebody should look." },
};

/** The order in which states are offered as filters: the life of a node. */
export const NODE_STATES = Object.keys(NODE);
export const JOB_STATES = Object.keys(JOB);
export const EVENT_KINDS = Object.keys(KIND);

function look(table: Record<string, Look>, word: string): Look {
  return table[word] ?? { word, tone: "quiet", icon: "question", means: "" };
}

export const nodeLook = (state: string): Look => look(NODE, state);
export const jobLook = (state: string): Look => look(JOB, state);
export const flagLook = (flag: string): Look => look(FLAG, flag);
export const breakerLook = (state: string): Look => look(BREAKER, state);
export const kindLook = (kind: string): Look => look(KIND, kind);

/** States grouped as bars and legends show them, in this order. */
export const GROUPS: readonly { name: string; tone: Tone; states: readonly string[] }[] = [
  { name: "busy", tone: "busy", states: ["busy"] },
  { name: "idle", tone: "good", states: ["idle"] },
  { name: "booting", tone: "wait", states: ["requested", "unsettled", "starting", "configuring", "joining"] },
  { name: "held", tone: "hold", states: ["holding", "held"] },
  { name: "failed", tone: "bad", states: ["down", "failed", "evacuating", "quarantined"] },
  { name: "leaving", tone: "leave", states: ["removing", "terminating", "forgetting"] },
];

/** How many nodes there are of each group; empty groups are left out. */
export function grouped(
  byState: Record<string, number>,
): { name: string; tone: Tone; count: number; states: readonly string[] }[] {
  return GROUPS.map((group) => ({
    name: group.name,
    tone: group.tone,
    states: group.states,
    count: group.states.reduce((sum, state) => sum + (byState[state] ?? 0), 0),
  })).filter((group) => group.count > 0);
}
