import { path } from "../api/client";
import type { Job } from "../api/types";
import { useRows } from "../api/use";
import { go, refine, useRoute } from "../app/router";
import { count, duration, memory, walltime } from "../lib/format";
import { href, sortOf, words } from "../lib/route";
import { JOB_STATES, jobLook } from "../lib/states";
import { Ago, At, Chip, Empty, Failure, Loading, Stale } from "../ui/bits";
import { Filters, SearchField, StateFilter } from "../ui/filters";
import { type Column, Table } from "../ui/table";

const each = encodeURIComponent;

function dimmed(text: string) {
  return text ? <span title={text}>{text}</span> : <span class="muted">–</span>;
}

/** What the job asks for in memory, all chunks together. */
export function memoryOf(job: Pick<Job, "chunk" | "chunks">): number {
  return job.chunk.memory_mib * Math.max(1, job.chunks);
}

const COLUMNS: readonly Column<Job>[] = [
  {
    key: "id",
    title: "Job",
    width: 92,
    sort: "job_id",
    downFirst: true,
    cell: (job) => (
      <a class="num" href={href(`/jobs/${each(job.job_id)}`)} tabIndex={-1}>
        {job.job_id}
      </a>
    ),
  },
  { key: "name", title: "Name", width: 110, grow: 1.2, sort: "name", cell: (job) => dimmed(job.name) },
  { key: "state", title: "State", width: 116, sort: "state", cell: (job) => <Chip look={jobLook(job.state)} /> },
  {
    key: "since",
    title: "For",
    width: 96,
    sort: "submitted_at",
    number: true,
    cell: (job) => <Ago at={job.state === "pending" ? job.submitted_at : (job.started_at ?? job.submitted_at)} />,
  },
  { key: "user", title: "Owner", width: 84, grow: 0.7, sort: "user", cell: (job) => dimmed(job.user) },
  { key: "queue", title: "Queue", width: 80, grow: 0.7, sort: "queue", cell: (job) => dimmed(job.queues.join(", ")) },
  {
    key: "cores",
    title: "Cores",
    width: 78,
    sort: "cores",
    downFirst: true,
    number: true,
    cell: (job) => (job.tasks > 1 ? `${count(job.cores)} × ${count(job.tasks)}` : count(job.cores)),
  },
  {
    key: "memory",
    title: "Memory",
    width: 84,
    sort: "memory",
    downFirst: true,
    number: true,
    cell: (job) => memory(memoryOf(job)),
  },
  {
    key: "walltime",
    title: "Walltime",
    width: 100,
    sort: "walltime",
    downFirst: true,
    number: true,
    cell: (job) => walltime(job.walltime_s),
  },
  {
    key: "priority",
    title: "Priority",
    width: 84,
    sort: "priority",
    downFirst: true,
    number: true,
    cell: (job) => count(Math.round(job.priority)),
  },
  {
    key: "where",
    title: "Reason or nodes",
    width: 150,
    grow: 1.4,
    cell: (job) =>
      job.hosts.length ? (
        <span class="mono">{`${job.hosts[0]}${job.hosts.length > 1 ? ` +${job.hosts.length - 1}` : ""}`}</span>
      ) : (
        <span class="muted" title={job.reason}>
          {job.reason || "–"}
        </span>
      ),
  },
  { key: "account", title: "Account", width: 80, grow: 0.7, sort: "account", cell: (job) => dimmed(job.account) },
  {
    key: "property",
    title: "Property",
    width: 80,
    grow: 0.6,
    cell: (job) => dimmed(job.features.map((group) => group.join("|")).join(", ")),
  },
  {
    key: "submitted",
    title: "Submitted",
    width: 124,
    sort: "submitted_at",
    downFirst: true,
    number: true,
    cell: (job) => <At at={job.submitted_at} />,
  },
];

function card(job: Job) {
  return (
    <>
      <span class="card-line">
        <a class="num" href={href(`/jobs/${each(job.job_id)}`)} tabIndex={-1}>
          {job.job_id}
        </a>
        <span class="clip">{job.name}</span>
        <Chip look={jobLook(job.state)} />
      </span>
      <span class="card-line muted">
        <span class="clip">{job.user}</span>
        <span class="clip">{job.queues.join(", ")}</span>
        <span class="num">{`${count(job.cores)} cores`}</span>
        <span>{job.state === "pending" ? `waits ${duration(job.waited_s)}` : ""}</span>
      </span>
    </>
  );
}

export function JobsPage() {
  const { query } = useRoute();
  const { state = "", q = "", user = "", queue = "", account = "" } = query;
  const sort = sortOf(query.sort, "-priority");
  const asked = path("/api/v1/jobs", { state, q, user, queue, account, sort: `${sort.down ? "-" : ""}${sort.by}` });
  const rows = useRows<Job>(asked, "jobs", ["jobs"]);
  const filtered = Boolean(state || q || user || queue || account);
  return (
    <>
      <header class="page-head">
        <h1>Jobs</h1>
        <span class="muted num">
          {rows.loaded ? (filtered ? `${count(rows.total)} match` : count(rows.total)) : ""}
        </span>
        <SearchField label="Search jobs" placeholder="Id, name, owner, queue, account" value={q} />
      </header>
      <Filters>
        <StateFilter states={JOB_STATES} look={jobLook} counts={rows.counts} chosen={words(state)} />
        {(
          [
            ["user", user],
            ["queue", queue],
            ["account", account],
          ] as const
        ).map(([name, value]) =>
          value ? (
            <button type="button" key={name} class="filter" aria-pressed="true" onClick={() => refine({ [name]: "" })}>
              {`${name}: ${value} ×`}
            </button>
          ) : null,
        )}
      </Filters>
      <Stale error={rows.loaded ? rows.error : null} />
      {!rows.loaded ? (
        rows.error ? (
          <Failure error={rows.error} again={rows.again} what="Jobs" />
        ) : (
          <Loading what="jobs" />
        )
      ) : rows.total === 0 ? (
        filtered ? (
          <Empty icon="search" title="No job matches">
            <button type="button" class="button" onClick={() => go("/jobs")}>
              Show all jobs
            </button>
          </Empty>
        ) : (
          <Empty icon="list" title="The queue is empty">
            Jobs appear here as soon as the scheduler lists them.
          </Empty>
        )
      ) : (
        <Table
          label="Jobs"
          columns={COLUMNS}
          total={rows.total}
          row={rows.row}
          see={rows.see}
          idOf={(job) => job.job_id}
          open={(job) => go(`/jobs/${each(job.job_id)}`)}
          sort={sort}
          onSort={(text) => refine({ sort: text === "-priority" ? "" : text }, true)}
          card={card}
        />
      )}
    </>
  );
}
