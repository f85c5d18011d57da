import type { JobDetail } from "../api/types";
import { type Loaded, useDocument } from "../api/use";
import { count, memory, walltime } from "../lib/format";
import { endOf } from "../lib/limits";
import { href } from "../lib/route";
import { jobLook } from "../lib/states";
import { Ago, At, Chip, Empty, Facts, Failure, Loading, Panel, Stale } from "../ui/bits";
import { EventLines } from "../ui/events";
import { Icon } from "../ui/icon";
import { memoryOf } from "./jobs";

const each = encodeURIComponent;

/** The service's word for jobs that only lack nodes. */
const HELPS = "more nodes would help";

export function JobPage({ id }: { id: string }) {
  const job: Loaded<JobDetail> = useDocument(`/api/v1/jobs/${each(id)}`, ["jobs", "events"]);
  const { data, error } = job;
  const back = (
    <p class="back">
      <a href={href("/jobs")}>
        <Icon name="left" size={14} />
        Jobs
      </a>
    </p>
  );
  if (error?.status === 404) {
    return (
      <>
        {back}
        <Empty icon="list" title={`Job ${id} is not in the queue`}>
          It has ended, or never was. What happened to it: <a href={href("/events", { job: id })}>its events</a>. Of an
          array, tasks may be listed by themselves: <a href={href("/jobs", { q: id })}>jobs with {id}</a>.
        </Empty>
      </>
    );
  }
  if (!data) {
    return (
      <>
        {back}
        {error ? <Failure error={error} again={job.again} what="This job" /> : <Loading what="the job" />}
      </>
    );
  }
  return (
    <>
      {back}
      <header class="page-head">
        <h1>
          <span class="num">{data.job_id}</span> <span class="light">{data.name}</span>
        </h1>
        <Chip look={jobLook(data.state)} />
        <span class="muted">
          for <Ago at={data.state === "pending" ? data.submitted_at : (data.started_at ?? data.submitted_at)} />
        </span>
      </header>
      <Stale error={error} />
      <div class="split loose">
        <Answer job={data} />
        <Panel title="What it asks for">
          <Facts
            rows={[
              ["Owner", <a href={href("/jobs", { user: data.user })}>{data.user}</a>],
              ["Queue", data.queues.map((queue) => <a key={queue} href={href("/jobs", { queue })}>{`${queue} `}</a>)],
              ["Account", data.account ? <a href={href("/jobs", { account: data.account })}>{data.account}</a> : ""],
              ["Cores", count(data.cores)],
              [
                "In pieces",
                data.chunks > 1
                  ? `${data.chunks} × ${data.chunk.cores} cores${data.distinct_hosts ? ", a host each" : ""}`
                  : "one",
              ],
              ["Memory", memory(memoryOf(data))],
              [
                "GPUs",
                data.chunk.gpus ? `${data.chunk.gpus * data.chunks}${data.gpu_type ? ` ${data.gpu_type}` : ""}` : "",
              ],
              ["Properties", data.features.map((group) => group.join(" or ")).join(", ")],
              ["Whole nodes", data.exclusive ? "yes" : "no"],
              ["Walltime", walltime(data.walltime_s)],
              ["Priority", count(Math.round(data.priority))],
              ...(data.tasks > 1
                ? ([["Tasks", `${count(data.tasks)}, ${count(data.running_tasks)} run`]] as const)
                : []),
              ["Submitted", <At at={data.submitted_at} />],
              ["Eligible", <At at={data.eligible_at} />],
              ["Started", <At at={data.started_at} />],
              ["May be requeued", data.rerunnable ? "yes" : "no"],
            ]}
          />
        </Panel>
      </div>
      <Panel title="What happened to it">
        {data.history.length ? (
          <EventLines events={data.history} subject={false} />
        ) : (
          <Empty icon="history" title="Nothing of note so far" />
        )}
      </Panel>
    </>
  );
}

function Answer({ job }: { job: JobDetail }) {
  const { answer } = job;
  const waits = job.state === "pending";
  const refusals = Object.entries(answer?.refusals ?? {});
  const nodes = answer?.nodes.length ? answer.nodes : job.hosts;
  return (
    <Panel title={waits ? "Why it waits" : "Where it runs"} class="answer">
      <p class="lead">{answer?.summary || job.reason || "Nothing is known yet: the next decision will tell."}</p>
      {answer?.limit ? (
        <p class="notice tone-wait">
          <Icon name="info" />
          <span>
            <b>The limit that binds: {answer.limit}.</b> {endOf(answer.limit) && `What ends it: ${endOf(answer.limit)}`}
          </span>
        </p>
      ) : null}
      <Facts
        rows={[
          ...(waits
            ? ([
                ["The scheduler says", job.reason],
                ["Would more nodes help", job.wait || answer?.wait || ""],
                [
                  "Tried again",
                  answer?.earliest_retry_at ? (
                    <At at={answer.earliest_retry_at} />
                  ) : job.wait === HELPS ? (
                    "at the next decision"
                  ) : (
                    "once the scheduler would start it if it had nodes"
                  ),
                ],
              ] as const)
            : []),
          ...(nodes.length
            ? ([
                [
                  waits ? "Nodes for it" : "Nodes",
                  <span key="nodes" class="links">
                    {nodes.slice(0, 40).map((name) => (
                      <a key={name} class="mono" href={href(`/nodes/${each(name)}`)}>
                        {name}
                      </a>
                    ))}
                    {nodes.length > 40 ? <span class="muted">{`and ${nodes.length - 40} more`}</span> : null}
                  </span>,
                ],
              ] as const)
            : []),
        ]}
      />
      {refusals.length ? (
        <>
          <h3>What was tried</h3>
          <table class="plain-table">
            <thead>
              <tr>
                <th scope="col">Resource</th>
                <th scope="col">Why it does not serve this job</th>
              </tr>
            </thead>
            <tbody>
              {refusals.map(([resource, why]) => (
                <tr key={resource}>
                  <td>
                    <a href={href("/resources", { name: resource })}>{resource}</a>
                  </td>
                  <td>{why}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      ) : null}
    </Panel>
  );
}
