// Icons drawn with strokes on a grid of 16, so that they follow the text's colour and size.

const PATHS: Record<string, string> = {
  gauge: "M2.5 11.5a5.5 5.5 0 1 1 11 0M8 11l2.6-3.6",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.01M2.5 8h.01M2.5 12h.01",
  layers: "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
  chart: "M2.5 2.5v11h11M5 10l3-3.5 2.5 2L14 4",
  history: "M2.5 8a5.5 5.5 0 1 0 1.8-4.1M2.5 2.5v3h3M8 5v3l2 1.5",
  gear: "M8 5.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4M12.4 3.6L11 5M5 11l-1.4 1.4",
  clock: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3l2 1.5",
  question: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM6.5 6.6c0-2 3-2 3-.1 0 1.2-1.5 1.2-1.5 2.3M8 11h.01",
  circle: "M8 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  play: "M5 3.5l7 4.5-7 4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  lock: "M4 7.5h8v5.5H4zM5.8 7.5V5.3a2.2 2.2 0 0 1 4.4 0v2.2",
  unlock: "M4 7.5h8v5.5H4zM5.8 7.5V5.3a2.2 2.2 0 0 1 4.3-.6",
  cross: "M4 4l8 8M12 4l-8 8",
  exit: "M9.5 2.5h-6v11h6M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  warn: "M8 2.5l6 11H2zM8 6.5v3.2M8 11.6h.01",
  info: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 7.5V11M8 5.2h.01",
  check: "M3 8.5l3.2 3.2L13 4.8",
  dash: "M4 8h8",
  person: "M8 8.2a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM2.8 13.5c.6-5 9.8-5 10.4 0",
  signal: "M3 13v-3M6.3 13V8M9.7 13V5.5M13 13V3",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.4 3.4",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  left: "M10 3L5 8l5 5",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5",
  refresh: "M13.3 6A5.5 5.5 0 1 0 13.5 9M13.5 2.5V6H10",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  half: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11M6 4v8M4 6v4",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  snow: "M8 2v12M2.8 5l10.4 6M13.2 5L2.8 11",
  drain: "M8 2.5c2.5 3 4 4.7 4 6.7a4 4 0 0 1-8 0c0-2 1.5-3.7 4-6.7z",
  terminal: "M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10.5H11",
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name] ?? PATHS.question} />
    </svg>
  );
}
