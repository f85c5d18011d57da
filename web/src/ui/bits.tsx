// Small pieces that every page uses.

import type { ComponentChildren } from "preact";
import type { ApiFailure } from "../api/client";
import { serviceTime, useNow } from "../api/use";
import { duration, instant, since } from "../lib/format";
import type { Look, Tone } from "../lib/states";
import { Icon } from "./icon";

export function Chip({ look, note }: { look: Look; note?: string }) {
  return (
    <span class={`chip tone-${look.tone}`} title={look.means}>
      <Icon name={look.icon} size={13} />
      {look.word}
      {note ? <span class="chip-note">{note}</span> : null}
    </span>
  );
}

/** How long ago, growing by itself. */
export function Ago({ at, suffix = "" }: { at: string | null; suffix?: string }) {
  const now = useNow();
  if (!at) return <span class="muted">–</span>;
  return <time dateTime={at} title={new Date(at).toLocaleString()}>{`${duration(since(at, now))}${suffix}`}</time>;
}

export function At({ at }: { at: string | null }) {
  if (!at) return <span class="muted">–</span>;
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {instant(at, serviceTime())}
    </time>
  );
}

/** What there is instead of data, and what to do about it. */
export function Empty({ icon, title, children }: { icon: string; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} size={24} />
      <p class="empty-title">{title}</p>
      {children ? <div class="empty-text">{children}</div> : null}
    </div>
  );
}

export function Failure({ error, again, what }: { error: ApiFailure; again: () => void; what: string }) {
  return (
    <div class="empty" role="alert">
      <Icon name="warn" size={24} />
      <p class="empty-title">{`${what} cannot be shown`}</p>
      <p class="empty-text">{error.message}</p>
      <button type="button" class="button" onClick={again}>
        <Icon name="refresh" />
        Try again
      </button>
    </div>
  );
}

/** A line above data that is shown although the last question failed. */
export function Stale({ error }: { error: ApiFailure | null }) {
  if (!error) return null;
  return (
    <p class="notice tone-wait" role="status">
      <Icon name="warn" />
      <span>{`Not up to date: ${error.message} What stands below is the last good answer.`}</span>
    </p>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div class="loading" role="status">
      {`Loading ${what} …`}
    </div>
  );
}

export interface Part {
  name: string;
  tone: Tone;
  value: number;
}

/** A bar of parts with words: never colour alone. `full` is the whole length. */
export function PartsBar({ parts, full, label }: { parts: readonly Part[]; full: number; label: string }) {
  const sum = Math.max(
    full,
    parts.reduce((all, part) => all + part.value, 0),
    1,
  );
  return (
    <div
      class="parts"
      role="img"
      aria-label={`${label}: ${parts.map((p) => `${p.value} ${p.name}`).join(", ") || "none"}`}
    >
      {parts.map((part) => (
        <span
          key={part.name}
          class={`part tone-${part.tone}`}
          title={`${part.value} ${part.name}`}
          style={{ width: `${(100 * part.value) / sum}%` }}
        />
      ))}
    </div>
  );
}

export function Legend({ parts }: { parts: readonly Part[] }) {
  return (
    <ul class="legend">
      {parts.map((part) => (
        <li key={part.name}>
          <span class={`swatch tone-${part.tone}`} aria-hidden="true" />
          <b class="num">{part.value.toLocaleString("en-GB")}</b> {part.name}
        </li>
      ))}
    </ul>
  );
}

export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === "" || value === null || value === undefined ? <span class="muted">–</span> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Panel({
  title,
  aside,
  children,
  class: more = "",
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}) {
  return (
    <section class={`panel ${more}`}>
      <header class="panel-head">
        <h2>{title}</h2>
        {aside ? <div class="panel-aside">{aside}</div> : null}
      </header>
      {children}
    </section>
  );
}
