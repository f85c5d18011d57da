// Where the reader is: a path under /dashboard and what is searched, sorted and filtered, all of it in the URL. Pure.

export const BASE = "/dashboard";

export interface Route {
  /** without the base: "/nodes", "/nodes/NODE" */
  path: string;
  query: Readonly<Record<string, string>>;
}

/** What the address bar says. */
export function parse(pathname: string, search: string): Route {
  const path = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) query[name] = value;
  return { path: path === "" || path === "/" ? "/" : path.replace(/\/+$/, ""), query };
}

/** The address of a page; empty values are left out. */
export function href(path: string, query: Record<string, string | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  const text = search.toString();
  return `${BASE}${path === "/" ? "" : path}${text ? `?${text}` : ""}`;
}

/** The parts of a path, decoded: "/nodes/a%2Fb" -> ["nodes", "a/b"]. What cannot be decoded stays as it is. */
export function parts(path: string): string[] {
  return path
    .split("/")
    .filter(Boolean)
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

/** A list in one parameter: "idle,busy". */
export function words(text: string | undefined): string[] {
  return (text ?? "").split(",").filter(Boolean);
}

/** The list with a word put in, or taken out if it was there. */
export function toggled(list: readonly string[], word: string): string[] {
  return list.includes(word) ? list.filter((one) => one !== word) : [...list, word];
}

export interface Sort {
  by: string;
  down: boolean;
}

/** "-priority" -> by priority, the highest first. */
export function sortOf(text: string | undefined, fallback: string): Sort {
  const chosen = text || fallback;
  return chosen.startsWith("-") ? { by: chosen.slice(1), down: true } : { by: chosen, down: false };
}

/** What a click on a column's head asks for. */
export function nextSort(now: Sort, by: string, downFirst: boolean): string {
  if (now.by !== by) return downFirst ? `-${by}` : by;
  return now.down ? by : `-${by}`;
}
