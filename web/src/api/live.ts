// One stream that says what has changed; whoever shows something asks for it anew.

export type Topic = "status" | "nodes" | "jobs" | "resources" | "events" | "sources";
export const ALL: readonly Topic[] = ["status", "nodes", "jobs", "resources", "events", "sources"];

/** How we hear of changes: by the stream, by asking now and then, or not at all. */
export type Link = "connecting" | "live" | "polling" | "lost";

const POLL_MS = 10_000;
const SILENCE_MS = 40_000; // the service sends a comment each 15 s, which EventSource hides; a picture comes with each decision

type Listener = (changed: ReadonlySet<Topic>) => void;

/** Listens to the service, and says so to the pages. One per tab. */
export class Live {
  private source: EventSource | null = null;
  private timer = 0;
  private readonly listeners = new Set<Listener>();
  private failures = 0;
  private heardAt = 0;
  link: Link = "connecting";
  onLink: (link: Link) => void = () => {};

  start(): void {
    this.stop();
    this.set("connecting");
    const source = new EventSource("/api/v1/live");
    this.source = source;
    source.addEventListener("picture", (event) => {
      this.failures = 0;
      this.heardAt = Date.now();
      this.set("live");
      this.tell(topics((event as MessageEvent<string>).data));
    });
    source.onerror = () => {
      this.failures += 1;
      if (source.readyState === EventSource.CLOSED || this.failures >= 3) this.set(this.failures ? "polling" : "lost");
    };
    this.timer = window.setInterval(() => {
      if (this.link !== "live" || Date.now() - this.heardAt > SILENCE_MS) this.tell(new Set(ALL));
      // a stream that the service has refused is not opened again by the browser
      if (source.readyState === EventSource.CLOSED) this.start();
    }, POLL_MS);
  }

  stop(): void {
    window.clearInterval(this.timer);
    this.source?.close();
    this.source = null;
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** After a change of ours: what is shown is asked for at once. */
  tell(changed: ReadonlySet<Topic>): void {
    for (const listener of this.listeners) listener(changed);
  }

  private set(link: Link): void {
    if (link === this.link) return;
    this.link = link;
    this.onLink(link);
  }
}

/** The topics that a message names; all of them if it makes no sense. */
export function topics(data: string): ReadonlySet<Topic> {
  try {
    const { changed } = JSON.parse(data) as { changed?: unknown };
    if (Array.isArray(changed)) return new Set(ALL.filter((topic) => changed.includes(topic)));
  } catch {
    // falls through: better to ask too much
  }
  return new Set(ALL);
}
