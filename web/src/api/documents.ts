// Made by scripts/docs from the OpenAPI document. Instants are ISO 8601 in UTC; null: never, or not known.

export interface ActionDoc {
  action_id: string;
  kind: string;
  reason: string;
  actor: string;
  created_at: string | null;
  node_id: string;
  host_name: string;
  resource: string;
  count: number;
}

export interface AdoptRequest {
  host: string;
  resource: string;
  instance_id?: string;
}

/** Why a job waits, or where it runs. */
export interface AnswerDoc {
  summary: string;
  wait: string;
  refusals: Record<string, string>;
  limit: string;
  earliest_retry_at: string | null;
  nodes: string[];
}

/** Something that somebody should look at. */
export interface AttentionDoc {
  /** the same while the cause is */
  key: string;
  severity: "critical" | "warning" | "info";
  /** store, decision, mode, source, credentials, stale, plugin, breaker, backoff, ... */
  kind: string;
  title: string;
  text: string;
  node_id?: string;
  resource?: string;
  source?: string;
  count?: number;
  since_at?: string | null;
}

/** The most urgent first. */
export interface AttentionList {
  attention: AttentionDoc[];
}

export interface BackoffDoc {
  scope: string;
  until_at: string | null;
  count: number;
  error_class: string;
  error: string;
  /** what the pause is for: sold out, over quota, slowed down, failed */
  word: string;
}

export interface BreakerDoc {
  state: string;
  failures: number;
  retry_at: string | null;
  error: string;
}

/** What became of a change of several nodes. Those in ``done`` are committed. */
export interface BulkDoc {
  done: string[];
  refused: RefusedDoc[];
}

export interface BulkRequest {
  action: "hold" | "unhold" | "vacate" | "delete";
  /** ids or host names; so many fit into the largest body */
  nodes: string[];
  /** delete: hold a working node now and remove it once it is empty */
  force?: boolean;
}

export interface CapacityDoc {
  cores: number;
  memory_mib: number;
  gpus: number;
}

/** A change that is committed. */
export interface ChangeDoc {
  success?: boolean;
  message?: string;
  node_ids?: string[];
}

export interface ConsoleDoc {
  node_id: string;
  text: string;
}

export interface CostByResource {
  nodes: number;
  price_per_hour: number;
  cost_per_hour: number;
}

/** Money, in the unit that the configured prices are in. ``forecast`` holds if nothing changes until the end. */
export interface CostDoc {
  month: string;
  spent: number;
  as_of_at: string | null;
  cost_per_hour: number;
  remaining_hours: number;
  forecast: number;
  budget_per_hour: number | null;
  budget_per_month: number | null;
  beyond_budget: string[];
  resources: Record<string, CostByResource>;
  /** resources without a price: their nodes count as free */
  unpriced: string[];
}

export interface DemandDoc {
  waiting_tasks: number;
  waiting_cores: number;
  unplaced_tasks: number;
  held_back: Record<string, number>;
}

export interface ErrorBody {
  code: string;
  message: string;
  field?: string;
}

export interface ErrorDoc {
  error: ErrorBody;
}

export interface EventDoc {
  seq: number;
  at: string | null;
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

export interface EventList {
  events: EventDoc[];
  next_before: number;
}

/** One series of Graphite's. Null: no value at this time. */
export interface FiguresDoc {
  target: string;
  /** value, epoch seconds */
  datapoints: [number | null, number][];
}

export interface FiguresList {
  /** what Graphite was asked for; it answers nothing for names that it has not */
  asked: string[];
  figures: FiguresDoc[];
}

export interface GraphsDoc {
  /** whether figures go to Graphite */
  graphite: boolean;
  prefix: string;
  /** whether graphs can be asked for here */
  render: boolean;
  /** graphs that there may be of single nodes: load, memory, ... */
  node_graphs: string[];
}

export interface HealthDoc {
  alive?: boolean;
  version: string;
}

/** Columns for charts; here instants are epoch seconds. Null: not known, for example while the service was down. */
export interface HistoryDoc {
  step_s: number;
  since: number;
  until: number;
  /** the first instant that is remembered */
  oldest: number | null;
  at: number[];
  series: Record<string, (number | null)[]>;
  /** NAME: nodes and cores */
  resources: Record<string, Record<string, (number | null)[]>>;
}

/** What the scheduler says of a host. */
export interface HostDoc {
  state: string;
  detail: string;
  total: CapacityDoc;
  used: CapacityDoc;
  jobs: string[];
  hold_mark: string;
  hold_ours: boolean;
  features: string[];
  queues: string[];
}

/** What the cloud says of a machine. */
export interface InstanceDoc {
  instance_id: string;
  state: string;
  name: string;
  address: string;
  created_at: string | null;
  offering: string;
  fault: string;
}

export interface JobDetail {
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
  chunk: CapacityDoc;
  chunks: number;
  distinct_hosts: boolean;
  exclusive: boolean;
  gpu_type: string;
  walltime_s: number;
  priority: number;
  submitted_at: string | null;
  waited_s: number;
  started_at: string | null;
  eligible_at: string | null;
  tasks: number;
  throttle: number;
  running_tasks: number;
  hosts: string[];
  rerunnable: boolean;
  answer: AnswerDoc | null;
  history: EventDoc[];
}

export interface JobDoc {
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
  chunk: CapacityDoc;
  chunks: number;
  distinct_hosts: boolean;
  exclusive: boolean;
  gpu_type: string;
  walltime_s: number;
  priority: number;
  submitted_at: string | null;
  waited_s: number;
  started_at: string | null;
  eligible_at: string | null;
  tasks: number;
  throttle: number;
  running_tasks: number;
  hosts: string[];
  rerunnable: boolean;
}

/** ``waited_s`` is as of ``as_of_at``, when this version of the list was first asked for. */
export interface JobList {
  jobs: JobDoc[];
  /** that match, on all pages */
  total: number;
  /** goes into "after"; "" = no more */
  next: string;
  /** by state, of all that match the other filters */
  counts: Record<string, number>;
  version: string;
  as_of_at: string | null;
}

export interface LaunchRequest {
  count?: number;
}

/** Either a token, or the name and password of an account where the service allows that. */
export interface LoginRequest {
  token?: string;
  user?: string;
  password?: string;
}

export interface ModeDoc {
  auto: boolean;
  observe_only: boolean;
}

export interface NodeDetail {
  node_id: string;
  host_name: string;
  resource: string;
  tenancy: string;
  state: string;
  original_state: string;
  original_number: number;
  state_since_at: string | null;
  in_state_s: number;
  reason: string;
  hold_why: string;
  address: string;
  instance_id: string;
  instance_name: string;
  /** what the cloud says of its machine; "" = it does not list one */
  cloud_state: string;
  capacity: CapacityDoc;
  used_cores: number;
  jobs: string[];
  adopted: boolean;
  created_at: string | null;
  joined_at: string | null;
  first_job_at: string | null;
  price_per_hour: number;
  launch_id: string;
  steps_to_do: string[];
  failed_attempts: number;
  nominated_for: string;
  host: HostDoc | null;
  instance: InstanceDoc | null;
  action: ActionDoc | null;
  history: EventDoc[];
}

export interface NodeDoc {
  node_id: string;
  host_name: string;
  resource: string;
  tenancy: string;
  state: string;
  original_state: string;
  original_number: number;
  state_since_at: string | null;
  in_state_s: number;
  reason: string;
  hold_why: string;
  address: string;
  instance_id: string;
  instance_name: string;
  /** what the cloud says of its machine; "" = it does not list one */
  cloud_state: string;
  capacity: CapacityDoc;
  used_cores: number;
  jobs: string[];
  adopted: boolean;
  created_at: string | null;
  joined_at: string | null;
  first_job_at: string | null;
  price_per_hour: number;
}

/** ``in_state_s`` is as of ``as_of_at``, when this version of the list was first asked for. */
export interface NodeList {
  nodes: NodeDoc[];
  /** that match, on all pages */
  total: number;
  /** goes into "after"; "" = no more */
  next: string;
  /** by state, of all that match the other filters */
  counts: Record<string, number>;
  version: string;
  as_of_at: string | null;
}

export interface NoticeRequest {
  /** `reclaim`: its cloud takes the machine away within minutes; `rebalance`: it may do so soon */
  kind: "reclaim" | "rebalance";
}

export interface NudgeRequest {
  source?: string;
}

/** A kind of machine that a resource can be, as its cloud offers it now. */
export interface OfferDoc {
  offering: string;
  instance_type: string;
  zone: string;
  market: string;
  capacity: CapacityDoc;
  gpu_type: string;
  /** null: not known */
  price_per_hour: number | null;
  /** why it is not asked for now, in the words of back-offs */
  pause: string;
  until_at: string | null;
}

/** Everything that the first page shows, in one answer. */
export interface OverviewDoc {
  version: string;
  status: StatusDoc;
  costs: CostDoc;
  attention: AttentionDoc[];
  running_jobs: number;
  pending_jobs: number;
  nodes: number;
  resources: number;
}

export interface PlanDoc {
  sentence: string;
  actions: ActionDoc[];
  transitions: TransitionDoc[];
  proposals: string[];
  shapes: ShapeDoc[];
  held_back: Record<string, number>;
  waiting_tasks: number;
  waiting_cores: number;
  unplaced_tasks: number;
  wake_at: string | null;
}

export interface PluginDoc {
  name: string;
  ok: boolean;
  /** new: has not looked yet; cut-off: its last look has not come back */
  state: "works" | "fails" | "cut-off" | "new";
  last_good_at: string | null;
  age_s: number | null;
  last_try_at: string | null;
  failures: number;
  error: string;
}

export interface PluginList {
  plugins: PluginDoc[];
}

/** ``hosts`` as the scheduler writes them: ``pc-[0001-0020],gpu-0003``. */
export interface PowerRequest {
  wants: "resume" | "suspend";
  hosts: string;
}

/** Null = no such limit is known. ``used_*`` counts everybody's machines, strangers included. */
export interface QuotaDoc {
  max_instances: number | null;
  used_instances: number;
  max_cores: number | null;
  used_cores: number;
  max_memory_mib: number | null;
  used_memory_mib: number;
}

export interface ReadyDoc {
  ready: boolean;
  reasons: string[];
}

export interface RefusedDoc {
  node: string;
  code: string;
  message: string;
}

export interface ReservationDoc {
  queue: string;
  account: string;
  property: string;
}

export interface ResourceDoc {
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
  capacity: CapacityDoc;
  features: string[];
  gpu_type: string;
  queues: string[];
  reservation: ReservationDoc;
  price_per_hour: number;
  cost_per_hour: number;
  breaker: BreakerDoc;
  backoffs: BackoffDoc[];
  quota: QuotaDoc | null;
  strangers: number;
  offers: OfferDoc[];
  /** nodes whose machines the cloud will take away soon, as it says */
  announced: number;
}

export interface ResourceList {
  resources: ResourceDoc[];
}

/** Who asks, and what may be done. */
export interface SessionDoc {
  name: string;
  role: "nobody" | "agent" | "viewer" | "operator" | "admin";
  /** anonymous, socket, token, session or proxy */
  via: string;
  /** goes into the header X-CSRF-Token of every change; "" = not needed */
  csrf: string;
  expires_at: string | null;
  /** how a browser may log in: token, password */
  ways: string[];
  reads_need_login: boolean;
}

/** The waiting jobs of one shape, and what a decision does about them. Counts are jobs, arrays by tasks. */
export interface ShapeDoc {
  queues: string[];
  account: string;
  cores: number;
  chunk: CapacityDoc;
  chunks: number;
  waiting: number;
  on_free: number;
  on_coming: number;
  on_new: number;
  unplaced: number;
  never: boolean;
  new_nodes: Record<string, number>;
  refusals: Record<string, string>;
  first_jobs: string[];
}

export interface SourceDoc {
  source: string;
  ok: boolean;
  last_good_at: string | null;
  age_s: number | null;
  /** how often it is asked */
  poll_s: number;
  /** what is older than this is not to be trusted: several polls are missing */
  stale_after_s: number;
  last_try_at: string | null;
  failures: number;
  error: string;
  stale_facets: string[];
  dropped: string[];
}

export interface SourceList {
  sources: SourceDoc[];
}

export interface StatusDoc {
  cluster_id: string;
  version: string;
  now: string | null;
  started_at: string | null;
  decided_at: string | null;
  decided_s_ago: number;
  tick: number;
  tick_s: number;
  sentence: string;
  mode: ModeDoc;
  ready: boolean;
  not_ready: string[];
  store_error: string;
  inbox_length: number;
  sources: SourceDoc[];
  plugins: PluginDoc[];
  demand: DemandDoc;
  supply: SupplyDoc;
  nodes_by_state: Record<string, number>;
  foreign_hosts: number;
  proposals: string[];
  cost_per_hour: number;
}

/** Cores of our own nodes. ``other_cores`` are held, down, or on their way out. */
export interface SupplyDoc {
  busy_cores: number;
  idle_cores: number;
  booting_cores: number;
  other_cores: number;
}

export interface TransitionDoc {
  node_id: string;
  host_name: string;
  from_state: string;
  to_state: string;
  reason: string;
}
