// Lines of the history: when, what, and of whom.

import type { HistoryEvent } from "../api/types";
import { href } from "../lib/route";
import { kindLook, nodeLook } from "../lib/states";
import { At, Chip } from "./bits";
import { Icon } from "./icon";

const each = encodeURIComponent;

export function EventSubject({ event }: { event: HistoryEvent }) {
  const links = [];
  if (event.host_name || event.node_id) {
    const name = event.node_id || event.host_name;
    links.push(
      <a key="node" href={href(`/nodes/${each(name)}`)}>
        {event.host_name || event.node_id}
      </a>,
    );
  }
  if (event.job_id) {
    links.push(
      <a key="job" href={href(`/jobs/${each(event.job_id)}`)}>
        {`job ${event.job_id}`}
      </a>,
    );
  }
  if (event.resource && !links.length) {
    links.push(
      <a key="resource" href={href("/resources", { name: event.resource })}>
        {event.resource}
      </a>,
    );
  }
  return <span class="subjects">{links}</span>;
}

export function EventLines({ events, subject = true }: { events: readonly HistoryEvent[]; subject?: boolean }) {
  return (
    <ol class="event-lines">
      {events.map((event) => {
        const look = kindLook(event.kind);
        return (
          <li key={event.seq}>
            <span class="event-at num">
              <At at={event.at} />
            </span>
            <span class={`event-kind tone-${look.tone}`} title={look.means}>
              <Icon name={look.icon} size={14} />
              <span class="sr">{look.word}</span>
            </span>
            <span class="event-text">
              {subject ? <EventSubject event={event} /> : null}
              {event.to_state ? <Chip look={nodeLook(event.to_state)} /> : null}
              <span>{event.text}</span>
              {event.actor && event.actor !== "engine" ? <span class="muted">{` by ${event.actor}`}</span> : null}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
