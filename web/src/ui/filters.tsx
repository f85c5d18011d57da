// Search and filters. All of them live in the address, so that what one sees can be sent to a colleague.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { refine } from "../app/router";
import { count } from "../lib/format";
import { toggled } from "../lib/route";
import type { Look } from "../lib/states";
import { Icon } from "./icon";

const PAUSE_MS = 250; // of typing, before the list is asked for

export function SearchField({ label, placeholder, value }: { label: string; placeholder: string; value: string }) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey) return;
      if ((event.target as Element).closest("input, select, textarea, dialog")) return;
      event.preventDefault();
      field.current?.focus();
    };
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener("keydown", key);
      window.clearTimeout(timer.current);
    };
  }, []);
  return (
    <div class="search" role="search">
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        aria-label={label}
        placeholder={placeholder}
        value={text}
        maxLength={200}
        onInput={(event) => {
          const typed = event.currentTarget.value;
          setText(typed);
          window.clearTimeout(timer.current);
          timer.current = window.setTimeout(() => refine({ q: typed.trim() }, true), PAUSE_MS);
        }}
      />
      <kbd title="Press / to search">/</kbd>
    </div>
  );
}

export function Filters({ children }: { children: ComponentChildren }) {
  return <div class="filters">{children}</div>;
}

/** Chips that are switched on and off. States that no row has are left out, unless they are chosen. */
export function StateFilter({
  states,
  look,
  counts,
  chosen,
  parameter = "state",
  single = false,
}: {
  states: readonly string[];
  look: (state: string) => Look;
  counts: Readonly<Record<string, number>> | null;
  chosen: readonly string[];
  parameter?: string;
  /** one at a time */
  single?: boolean;
}) {
  const offered = states.filter((state) => !counts || (counts[state] ?? 0) > 0 || chosen.includes(state));
  if (!offered.length) return null;
  return (
    <div class="state-filter" role="group" aria-label="Filter by state">
      {offered.map((state) => {
        const { word, icon, tone, means } = look(state);
        return (
          <button
            type="button"
            key={state}
            class={`filter tone-${tone}`}
            title={means}
            aria-pressed={chosen.includes(state)}
            onClick={() => {
              const next = toggled(chosen, state);
              refine({ [parameter]: single ? (next.includes(state) ? state : "") : next.join(",") });
            }}
          >
            <Icon name={icon} size={13} />
            {word}
            {counts ? <span class="num muted">{count(counts[state] ?? 0)}</span> : null}
          </button>
        );
      })}
      {chosen.length ? (
        <button type="button" class="plain" onClick={() => refine({ [parameter]: "" })}>
          All
        </button>
      ) : null}
    </div>
  );
}
