// Talks to the service that served this page, and to nobody else.

import type { BulkReply, Change, NodeAction, Session } from "./types";

/** What the service, or the way to it, refused. `message` is fit to be shown. */
export class ApiFailure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const KEPT = "dc:csrf";
let csrf = "";

/**
 * Keep the word that changes must carry. Only the answer to a log-in has it: cookies are shared by all ports of a host,
 * what this page stores is not. Returns whether changes can be asked for.
 */
export function remember(session: Session): boolean {
  csrf = session.csrf;
  try {
    if (session.via !== "session") window.localStorage.removeItem(KEPT);
    else if (csrf) window.localStorage.setItem(KEPT, csrf);
    else csrf = window.localStorage.getItem(KEPT) ?? "";
  } catch {
    // storage may be forbidden: the word lasts as long as this tab
  }
  return session.via !== "session" || csrf !== "";
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      cache: method === "GET" ? "no-cache" : "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiFailure(0, "unreachable", "The service does not answer.");
  }
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as T;
}

async function refusal(response: Response): Promise<ApiFailure> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return new ApiFailure(response.status, error.code, error.message);
  } catch {
    return new ApiFailure(response.status, "error", `The service answered with status ${response.status}.`);
  }
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", path, undefined, signal);
}

const each = encodeURIComponent;

export const changes = {
  nodes: (action: NodeAction, nodes: string[], force = false) =>
    ask<BulkReply>("POST", "/api/v1/nodes", { action, nodes, force }),
  node: (action: NodeAction, node: string, force = false) =>
    action === "delete"
      ? ask<Change>("DELETE", `/api/v1/nodes/${each(node)}${force ? "?force=true" : ""}`)
      : ask<Change>("POST", `/api/v1/nodes/${each(node)}/${action}`),
  launch: (resource: string, count: number) =>
    ask<Change>("POST", `/api/v1/resources/${each(resource)}/launch`, { count }),
  resource: (resource: string, action: "freeze" | "restore" | "drain" | "reset") =>
    ask<Change>("POST", `/api/v1/resources/${each(resource)}/${action}`),
  auto: (on: boolean) => ask<Change>(on ? "PUT" : "DELETE", "/api/v1/auto"),
  observe: (on: boolean) => ask<Change>(on ? "PUT" : "DELETE", "/api/v1/observe"),
  nudge: (source: string) => ask<Change>("POST", "/api/v1/nudge", { source }),
  reload: () => ask<Change>("POST", "/api/v1/reload"),
  console: (node: string) => ask<{ text: string }>("POST", `/api/v1/nodes/${each(node)}/console`),
  logIn: (secret: { token: string } | { user: string; password: string }) =>
    ask<Session>("POST", "/api/v1/session", secret),
  logOut: () => ask<{ success: boolean }>("DELETE", "/api/v1/session"),
};

/** A path with its query; empty values are left out. */
export function path(to: string, query: Record<string, string | number | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `${to}?${text}` : to;
}
