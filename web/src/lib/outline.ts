// A document of nested keys as lines, for reading. Pure.

export interface OutlineLine {
  path: string;
  depth: number;
  key: string;
  /** null for a key that only holds others */
  value: string | null;
}

function text(value: unknown): string {
  if (value === null) return "–";
  if (typeof value === "string") return value === "" ? "“”" : value;
  return String(value);
}

/** Modes of files are read as they are written: 0600, not 384. */
function shownAs(key: string, value: unknown): string {
  return key.endsWith("_mode") && Number.isInteger(value) ? `0${(value as number).toString(8)}` : text(value);
}

function plain(value: unknown): boolean {
  return value === null || typeof value !== "object";
}

/** Lines in the document's own order. With `search`, those whose key or value has it, and the keys above them. */
export function outline(document: unknown, search = ""): OutlineLine[] {
  const needle = search.trim().toLowerCase();
  const lines: OutlineLine[] = [];
  const walk = (value: unknown, key: string, path: string, depth: number): OutlineLine[] => {
    if (plain(value) || (Array.isArray(value) && value.every(plain))) {
      const shown = Array.isArray(value) ? (value.length ? value.map(text).join(", ") : "none") : shownAs(key, value);
      return !needle || key.toLowerCase().includes(needle) || shown.toLowerCase().includes(needle)
        ? [{ path, depth, key, value: shown }]
        : [];
    }
    const entries = Object.entries(value as Record<string, unknown>);
    const inside = entries.flatMap(([name, one]) => walk(one, name, `${path}/${name}`, depth + 1));
    const hit = needle && key.toLowerCase().includes(needle);
    if (hit && !inside.length) return [{ path, depth, key, value: entries.length ? null : "none" }];
    if (!inside.length && needle) return [];
    return [{ path, depth, key, value: entries.length ? null : "none" }, ...inside];
  };
  if (document !== null && typeof document === "object") {
    for (const [name, one] of Object.entries(document)) lines.push(...walk(one, name, name, 0));
  }
  return lines;
}
