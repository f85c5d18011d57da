// The documents of the REST API that the dashboard reads: dynamiccluster/api/schemas.py is the truth.

/** ISO 8601 in UTC; null = never, or not known. */
export type Instant = string | null;

export interface Capacity {
  cores: number;
  memory_mib: number;
  gpus: number;
}

export interface Source {
  source: string;
  ok: boolean;
  last_good_at: Instant;
  age_s: number | null;
  last_try_at: Instant;
  failures: number;
  error: string;
  stale_facets: string[];
  dropped: string[];
}

export interface Status {
  cluster_id: string;
  version: string;
  now: Instant;
  started_at: Instant;
  decided_at: Instant;
  decided_s_ago: number;
  tick: number;
  tick_s: number;
  sentence: string;
  mode: { auto: boolean; observe_only: boolean };
  ready: boolean;
  not_ready: string[];
  store_error: string;
  inbox_length: number;
  sources: Source[];
  demand: {
    waiting_tasks: number;
    waiting_cores: number;
    unplaced_tasks: number;
    held_back: Record<string, number>;
  };
  supply: { busy_cores: number; idle_cores: number; booting_cores: number; other_cores: number };
  nodes_by_state: Record<string, number>;
  foreign_hosts: number;
  proposals: string[];
  cost_per_hour: number;
}

export interface Costs {
  month: string;
  spent: number;
  as_of_at: Instant;
  cost_per_hour: number;
  remaining_hours: number;
  forecast: number;
  budget_per_hour: number | null;
  budget_per_month: number | null;
  beyond_budget: string[];
  resources: Record<string, { nodes: number; price_per_hour: number; cost_per_hour: number }>;
  unpriced: string[];
}

export type Severity = "critical" | "warning" | "info";

export interface Attention {
  severity: Severity;
  kind: string;
  title: string;
  text: string;
  node_id: string;
  resource: string;
  source: string;
  count: number;
  since_at: Instant;
}

export interface Overview {
  version: string;
  status: Status;
  costs: Costs;
  attention: Attention[];
  running_jobs: number;
  pending_jobs: number;
  nodes: number;
  resources: number;
}

export type Values = (number | null)[];

export interface History {
  step_s: number;
  since: number;
  until: number;
  oldest: number;
  at: number[];
  series: Record<string, Values>;
  resources: Record<string, { nodes: Values; cores: Values }>;
}

export interface HistoryEvent {
  seq: number;
  at: Instant;
  kind: string;
  text: string;
  actor: string;
  node_id: string;
  host_name: string;
  resource: string;
  job_id: string;
  from_state: string;
  to_state: string;
}

export interface WorkerNode {
  node_id: string;
  host_name: string;
  resource: string;
  tenancy: string;
  state: string;
  original_state: string;
  original_number: number;
  state_since_at: Instant;
  in_state_s: number;
  reason: string;
  hold_why: string;
  address: string;
  instance_id: string;
  instance_name: string;
  capacity: Capacity;
  used_cores: number;
  jobs: string[];
  adopted: boolean;
  created_at: Instant;
  joined_at: Instant;
  first_job_at: Instant;
  price_per_hour: number;
}

export interface Action {
  action_id: string;
  kind: string;
  reason: string;
  actor: string;
  created_at: Instant;
  node_id: string;
  host_name: string;
  resource: string;
  count: number;
}

export interface NodeDetail extends WorkerNode {
  launch_id: string;
  steps_to_do: string[];
  failed_attempts: number;
  nominated_for: string;
  host: {
    state: string;
    detail: string;
    total: Capacity;
    used: Capacity;
    jobs: string[];
    hold_mark: string;
    hold_ours: boolean;
    features: string[];
    queues: string[];
  } | null;
  instance: {
    instance_id: string;
    state: string;
    name: string;
    address: string;
    created_at: Instant;
    offering: string;
    fault: string;
  } | null;
  action: Action | null;
  history: HistoryEvent[];
}

export interface Job {
  job_id: string;
  name: string;
  user: string;
  state: string;
  wait: string;
  reason: string;
  queues: string[];
  account: string;
  features: string[][];
  cores: number;
  chunk: Capacity;
  chunks: number;
  distinct_hosts: boolean;
  exclusive: boolean;
  gpu_type: string;
  walltime_s: number;
  priority: number;
  submitted_at: Instant;
  waited_s: number;
  started_at: Instant;
  eligible_at: Instant;
  tasks: number;
  throttle: number;
  running_tasks: number;
  hosts: string[];
  rerunnable: boolean;
}

export interface JobDetail extends Job {
  answer: {
    summary: string;
    wait: string;
    refusals: Record<string, string>;
    limit: string;
    earliest_retry_at: Instant;
    nodes: string[];
  } | null;
  history: HistoryEvent[];
}

/** One window of a long list. */
export interface Page<Row> {
  rows: Row[];
  total: number;
  counts: Record<string, number>;
}

export interface Resource {
  name: string;
  cloud: string;
  tenancy: string;
  priority: number;
  flag: string;
  flag_number: number;
  min_nodes: number;
  max_nodes: number;
  configured_min_nodes: number;
  configured_max_nodes: number;
  current_nodes: number;
  nodes_by_state: Record<string, number>;
  max_starting: number;
  capacity: Capacity;
  features: string[];
  gpu_type: string;
  queues: string[];
  reservation: { queue: string; account: string; property: string };
  price_per_hour: number;
  cost_per_hour: number;
  breaker: { state: string; failures: number; retry_at: Instant; error: string };
  backoffs: { scope: string; until_at: Instant; count: number; error_class: string; error: string; word: string }[];
  quota: {
    max_instances: number | null;
    used_instances: number;
    max_cores: number | null;
    used_cores: number;
    max_memory_mib: number | null;
    used_memory_mib: number;
  } | null;
  strangers: number;
  offers: Offer[];
  /** nodes whose machines the cloud will take away soon */
  announced: number;
}

/** A kind of machine that a resource can be. */
export interface Offer {
  offering: string;
  instance_type: string;
  zone: string;
  market: string;
  capacity: Capacity;
  gpu_type: string;
  price_per_hour: number | null;
  pause: string;
  until_at: Instant;
}

export interface Plan {
  sentence: string;
  actions: Action[];
  transitions: { node_id: string; host_name: string; from_state: string; to_state: string; reason: string }[];
  proposals: string[];
  waiting_tasks: number;
  waiting_cores: number;
  unplaced_tasks: number;
  wake_at: Instant;
}

export interface Session {
  name: string;
  role: "nobody" | "viewer" | "operator" | "admin";
  via: string;
  csrf: string;
  expires_at: Instant;
  ways: string[];
  reads_need_login: boolean;
}

export interface Change {
  success: boolean;
  message: string;
  node_ids: string[];
}

export interface BulkReply {
  done: string[];
  refused: { node: string; code: string; message: string }[];
}

export type NodeAction = "hold" | "unhold" | "vacate" | "delete";

export interface Graphs {
  graphite: boolean;
  prefix: string;
  render: boolean;
}

export interface GraphiteSeries {
  target: string;
  datapoints: [number | null, number][];
}
