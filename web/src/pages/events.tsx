import { useEffect, useRef, useState } from "preact/hooks";
import { ApiFailure, get, path } from "../api/client";
import type { HistoryEvent } from "../api/types";
import { live } from "../api/use";
import { refine, useRoute } from "../app/router";
import { count } from "../lib/format";
import { EVENT_KINDS, kindLook, nodeLook } from "../lib/states";
import { At, Chip, Empty, Failure, Loading, Stale } from "../ui/bits";
import { EventSubject } from "../ui/events";
import { Filters, SearchField, StateFilter } from "../ui/filters";

const STEP = 100;
const MOST = 2000; // on the page; older ones are found by narrowing the search

interface Answer {
  events: HistoryEvent[];
  next_before: number;
}

export function EventsPage() {
  const { query } = useRoute();
  const { kind = "", node = "", resource = "", job = "", q = "", who = "" } = query;
  const asked = path(who === "people" ? "/api/v1/audit" : "/api/v1/events", {
    kind,
    node,
    resource,
    job,
    q,
    limit: STEP,
  });
  const [events, setEvents] = useState<HistoryEvent[] | null>(null);
  const [before, setBefore] = useState(0);
  const [error, setError] = useState<ApiFailure | null>(null);
  const current = useRef(asked);
  current.current = asked;

  useEffect(() => {
    setEvents(null);
    setError(null);
    const stop = new AbortController();
    const load = () =>
      get<Answer>(asked, stop.signal)
        .then((answer) => {
          setError(null);
          setEvents((old) => {
            const known = old ?? [];
            const newest = known[0]?.seq ?? 0;
            const fresh = answer.events.filter((event) => event.seq > newest);
            // more than a page is new: what lies between is not known, so begin anew
            if (!known.length || fresh.length === answer.events.length) {
              setBefore(answer.next_before);
              return answer.events;
            }
            return [...fresh, ...known].slice(0, MOST);
          });
        })
        .catch((failure: unknown) => {
          if (!stop.signal.aborted)
            setError(failure instanceof ApiFailure ? failure : new ApiFailure(0, "odd", String(failure)));
        });
    void load();
    const leave = live.subscribe((changed) => changed.has("events") && load());
    return () => {
      leave();
      stop.abort();
    };
  }, [asked]);

  const older = () => {
    const mine = asked;
    get<Answer>(`${asked}&before=${before}`)
      .then((answer) => {
        if (current.current !== mine) return;
        setEvents((old) => [...(old ?? []), ...answer.events]);
        setBefore(answer.next_before);
      })
      .catch((failure: unknown) =>
        setError(failure instanceof ApiFailure ? failure : new ApiFailure(0, "odd", String(failure))),
      );
  };
  const narrowed = [
    ["node", node],
    ["resource", resource],
    ["job", job],
  ].filter(([, value]) => value) as [string, string][];
  const filtered = Boolean(kind || q || who || narrowed.length);
  return (
    <>
      <header class="page-head">
        <h1>Events</h1>
        <SearchField label="Search events" placeholder="Words in the text" value={q} />
      </header>
      <Filters>
        <div class="segments" role="group" aria-label="Whose">
          <button type="button" aria-pressed={who !== "people"} onClick={() => refine({ who: "" })}>
            Everything
          </button>
          <button type="button" aria-pressed={who === "people"} onClick={() => refine({ who: "people" })}>
            What people did
          </button>
        </div>
        <StateFilter
          states={EVENT_KINDS}
          look={kindLook}
          counts={null}
          chosen={kind ? [kind] : []}
          parameter="kind"
          single
        />
        {narrowed.map(([name, value]) => (
          <button type="button" key={name} class="filter" aria-pressed="true" onClick={() => refine({ [name]: "" })}>
            {`${name}: ${value} ×`}
          </button>
        ))}
      </Filters>
      <Stale error={events ? error : null} />
      {!events ? (
        error ? (
          <Failure error={error} again={() => refine({})} what="Events" />
        ) : (
          <Loading what="events" />
        )
      ) : events.length ? (
        <div class="panel flush">
          <ol class="events">
            {events.map((event) => (
              <li key={event.seq}>
                <span class="event-at num">
                  <At at={event.at} />
                </span>
                <Chip look={kindLook(event.kind)} />
                <span class="event-who">
                  <EventSubject event={event} />
                </span>
                <span class="event-text">
                  {event.to_state ? <Chip look={nodeLook(event.to_state)} /> : null}
                  <span>{event.text}</span>
                  {event.actor && event.actor !== "engine" ? <span class="muted">{` by ${event.actor}`}</span> : null}
                </span>
              </li>
            ))}
          </ol>
          <footer class="events-foot">
            <span class="muted num">{`${count(events.length)} shown`}</span>
            {before > 0 && events.length < MOST ? (
              <button type="button" class="button small" onClick={older}>
                Older ones
              </button>
            ) : null}
          </footer>
        </div>
      ) : (
        <Empty icon="history" title={filtered ? "No event matches" : "Nothing has happened yet"}>
          {filtered ? (
            <button
              type="button"
              class="button"
              onClick={() => refine({ kind: "", q: "", who: "", node: "", resource: "", job: "" })}
            >
              Show all events
            </button>
          ) : (
            "Launches, removals and whatever people do will be listed here."
          )}
        </Empty>
      )}
    </>
  );
}
