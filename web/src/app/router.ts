// The address bar as state.

import { useEffect, useState } from "preact/hooks";
import { href, parse, type Route } from "../lib/route";

const CHANGED = "dc:route";

export function here(): Route {
  return parse(window.location.pathname, window.location.search);
}

/** Go to a page. `replace`: typing in a search field leaves no trail in the browser's history. */
export function go(path: string, query: Record<string, string | undefined> = {}, replace = false): void {
  const address = href(path, query);
  if (replace) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
  window.dispatchEvent(new Event(CHANGED));
}

/** Change parts of the present query; "" takes a part out. */
export function refine(parts: Record<string, string | undefined>, replace = false): void {
  const now = here();
  go(now.path, { ...now.query, ...parts }, replace);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const change = () => setRoute(here());
    window.addEventListener("popstate", change);
    window.addEventListener(CHANGED, change);
    return () => {
      window.removeEventListener("popstate", change);
      window.removeEventListener(CHANGED, change);
    };
  }, []);
  return route;
}

/** Links inside the dashboard do not load the page anew. One listener for all of them. */
export function followLinks(root: HTMLElement): void {
  root.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element).closest("a");
    if (!link || link.target || link.hash || link.origin !== window.location.origin) return;
    if (!link.pathname.startsWith("/dashboard")) return;
    event.preventDefault();
    const to = parse(link.pathname, link.search);
    go(to.path, { ...to.query });
  });
}
