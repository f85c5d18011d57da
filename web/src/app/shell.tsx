// The frame around every page: where one can go, how old what one sees is, who one is.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiFailure, changes, get, remember } from "../api/client";
import type { Link } from "../api/live";
import type { Overview, Session, Source } from "../api/types";
import { live, tellTime, useDocument, useNow } from "../api/use";
import { duration, plural, since } from "../lib/format";
import { href, parts } from "../lib/route";
import { stale } from "../lib/sources";
import { EventsPage } from "../pages/events";
import { GraphsPage } from "../pages/graphs";
import { JobPage } from "../pages/job";
import { JobsPage } from "../pages/jobs";
import { NodePage } from "../pages/node";
import { NodesPage } from "../pages/nodes";
import { OverviewPage } from "../pages/overview";
import { ResourcesPage } from "../pages/resources";
import { SettingsPage } from "../pages/settings";
import { Empty } from "../ui/bits";
import { Confirm, LogIn } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { type App, AppContext, type Question, type Theme, useApp } from "./context";
import { followLinks, useRoute } from "./router";

const PAGES = [
  { path: "/", name: "Overview", icon: "gauge" },
  { path: "/nodes", name: "Worker nodes", icon: "server" },
  { path: "/jobs", name: "Jobs", icon: "list" },
  { path: "/resources", name: "Resources", icon: "layers" },
  { path: "/graphs", name: "Graphs", icon: "chart" },
  { path: "/events", name: "Events", icon: "history" },
  { path: "/settings", name: "Settings", icon: "gear" },
] as const;

function storedTheme(): Theme {
  try {
    const kept = window.localStorage.getItem("dc:theme");
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system"; // storage may be forbidden
  }
}

export function Application({ root }: { root: HTMLElement }) {
  const route = useRoute();
  const [link, setLink] = useState<Link>("connecting");
  const [session, setSession] = useState<Session | null>(null);
  const [question, setQuestion] = useState<Question | null>(null);
  const [said, setSaid] = useState<{ text: string; bad: boolean; at: number } | null>(null);
  const [loggingIn, setLoggingIn] = useState(false);
  const [theme, setThemeState] = useState<Theme>(storedTheme);
  const readable = session !== null && !(session.reads_need_login && session.role === "nobody");
  const overview = useDocument<Overview>(readable ? "/api/v1/overview" : null, ["status", "nodes", "jobs", "sources"]);

  const take = useCallback((one: Session) => {
    // a cookie without its word is good for looking only: log in again to change something
    setSession(remember(one) ? one : { ...one, via: "anonymous", role: "viewer" });
  }, []);
  const who = useCallback(() => {
    get<Session>("/api/v1/session")
      .then(take)
      .catch(() => window.setTimeout(who, 5000));
  }, [take]);

  useEffect(() => followLinks(root), [root]);
  useEffect(who, [who]);
  useEffect(() => {
    if (!readable) return;
    live.onLink = setLink;
    live.start();
    return () => live.stop();
  }, [readable]);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  useEffect(() => {
    if (!said) return;
    const timer = window.setTimeout(() => setSaid(null), said.bad ? 15_000 : 6_000);
    return () => window.clearTimeout(timer);
  }, [said]);
  // before the pages draw, so that no age is counted by another clock
  useMemo(() => tellTime(overview.data?.status.now), [overview.data]);
  // a session that has ended is noticed by the first refusal
  useEffect(() => {
    if (overview.error?.status === 401) who();
  }, [overview.error, who]);

  const app = useMemo<App>(
    () => ({
      session,
      link,
      overview,
      operator: session?.role === "operator" || session?.role === "admin",
      admin: session?.role === "admin",
      ask: setQuestion,
      say: (text, bad = false) => setSaid({ text, bad, at: Date.now() }),
      logIn: () => setLoggingIn(true),
      logOut: () => {
        changes
          .logOut()
          .catch((error: ApiFailure) => setSaid({ text: error.message, bad: true, at: Date.now() }))
          .finally(who);
      },
      theme,
      setTheme: (next) => {
        setThemeState(next);
        try {
          window.localStorage.setItem("dc:theme", next);
        } catch {
          // kept for this tab only
        }
      },
    }),
    [session, link, overview, theme, who],
  );

  const [first = "", second] = parts(route.path);
  const name = PAGES.find((page) => page.path === `/${first}`)?.name ?? "Not found";
  const cluster = overview.data?.status.cluster_id ?? "";
  useEffect(() => {
    document.title = [second, name, cluster, "Dynamic Cluster"].filter(Boolean).join(" · ");
  }, [second, name, cluster]);

  return (
    <AppContext.Provider value={app}>
      <a class="skip" href="#main">
        To the content
      </a>
      <div class="frame">
        <Side first={first} cluster={cluster} />
        <div class={`column${(first === "nodes" || first === "jobs") && second === undefined ? " fixed" : ""}`}>
          <Top />
          <main id="main" tabIndex={-1} class={`page page-${first || "overview"}${second ? " page-one" : ""}`}>
            {session !== null && !readable ? (
              <Empty icon="lock" title="Log in to look">
                This service shows nothing without a token.
              </Empty>
            ) : (
              <Content first={first} second={second} />
            )}
          </main>
        </div>
      </div>
      {question ? <Confirm question={question} close={() => setQuestion(null)} say={app.say} /> : null}
      {loggingIn || (session !== null && !readable) ? (
        <LogIn
          ways={session?.ways ?? ["token"]}
          close={readable ? () => setLoggingIn(false) : null}
          run={async (secret) => {
            const one = await changes.logIn(secret);
            take(one);
            setLoggingIn(false);
            app.say(`Logged in as ${one.name} (${one.role}).`);
          }}
        />
      ) : null}
      <div class="toasts" role="status" aria-live="polite">
        {said ? (
          <div class={`toast${said.bad ? " tone-bad" : ""}`} key={said.at}>
            <Icon name={said.bad ? "warn" : "check"} />
            <span>{said.text}</span>
            <button type="button" class="plain" aria-label="Close this message" onClick={() => setSaid(null)}>
              <Icon name="cross" size={14} />
            </button>
          </div>
        ) : null}
      </div>
    </AppContext.Provider>
  );
}

function Content({ first, second }: { first: string; second: string | undefined }) {
  switch (first) {
    case "":
      return <OverviewPage />;
    case "nodes":
      return second === undefined ? <NodesPage /> : <NodePage name={second} key={second} />;
    case "jobs":
      return second === undefined ? <JobsPage /> : <JobPage id={second} key={second} />;
    case "resources":
      return <ResourcesPage />;
    case "graphs":
      return <GraphsPage />;
    case "events":
      return <EventsPage />;
    case "settings":
      return <SettingsPage />;
    default:
      return (
        <Empty icon="question" title="There is no such page">
          <a href={href("/")}>To the overview</a>
        </Empty>
      );
  }
}

function Side({ first, cluster }: { first: string; cluster: string }) {
  const bar = useRef<HTMLElement>(null);
  // on a small screen the pages are a strip that scrolls
  useEffect(() => {
    bar.current?.querySelector('[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [first]);
  return (
    <nav ref={bar} class="side" aria-label="Pages">
      <a class="brand" href={href("/")}>
        <img src="/dashboard/icon.svg" alt="" width="26" height="26" />
        <span>
          <span class="brand-name">Dynamic Cluster</span>
          <span class="brand-cluster">{cluster || " "}</span>
        </span>
      </a>
      <ul>
        {PAGES.map((page) => (
          <li key={page.path}>
            <a href={href(page.path)} aria-current={page.path === `/${first}` ? "page" : undefined}>
              <Icon name={page.icon} />
              <span>{page.name}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

const LINKS: Record<Link, { icon: string; text: string; tone: string; means: string }> = {
  connecting: { icon: "clock", text: "connecting", tone: "quiet", means: "Waiting for the service." },
  live: { icon: "signal", text: "live", tone: "good", means: "Changes are shown as they happen." },
  polling: {
    icon: "refresh",
    text: "every 10 s",
    tone: "wait",
    means: "The live stream is not to be had: asked every 10 seconds.",
  },
  lost: { icon: "warn", text: "no connection", tone: "bad", means: "The service does not answer." },
};

function Top() {
  const app = useApp();
  const status = app.overview.data?.status;
  const lost = app.overview.error !== null && app.overview.error.status === 0;
  const link = LINKS[lost ? "lost" : app.link];
  const next: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
  return (
    <header class="top">
      <div class="top-sources">
        <span class={`pill tone-${link.tone}`} title={link.means}>
          <Icon name={link.icon} size={13} />
          {link.text}
        </span>
        {status ? <SourcePills sources={status.sources} /> : null}
      </div>
      <div class="top-right">
        {status ? (
          <>
            {status.mode.observe_only ? (
              <span class="pill tone-hold" title="The service only looks; nothing is launched or removed.">
                <Icon name="info" size={13} />
                observe-only
              </span>
            ) : null}
            <span class={`pill tone-${status.mode.auto ? "quiet" : "wait"}`}>
              <Icon name={status.mode.auto ? "refresh" : "pause"} size={13} />
              {status.mode.auto ? "auto on" : "auto off"}
            </span>
          </>
        ) : null}
        <button
          type="button"
          class="icon-button"
          onClick={() => app.setTheme(next[app.theme])}
          title={`Theme: ${app.theme}`}
          aria-label={`Theme: ${app.theme}. Change it`}
        >
          <Icon name={app.theme === "dark" ? "moon" : app.theme === "light" ? "sun" : "half"} />
        </button>
        {app.session ? (
          app.session.via === "session" ? (
            <button type="button" class="button small" onClick={app.logOut} title={`Role: ${app.session.role}`}>
              <Icon name="person" size={14} />
              {app.session.name} · log out
            </button>
          ) : app.session.via === "anonymous" ? (
            <button type="button" class="button small" onClick={app.logIn} title="Looking needs no token; changes do">
              <Icon name="person" size={14} />
              Log in
            </button>
          ) : (
            <span class="pill tone-quiet" title={`Role: ${app.session.role}`}>
              <Icon name="person" size={13} />
              {app.session.name}
            </span>
          )
        ) : null}
      </div>
    </header>
  );
}

const MOST_PILLS = 6;

/** Stale ones first, so that they are in sight however many tenancies there are. */
function SourcePills({ sources }: { sources: readonly Source[] }) {
  const now = useNow();
  const order = [...sources].sort((a, b) => Number(stale(b, now)) - Number(stale(a, now)));
  const shown = order.length > MOST_PILLS ? order.slice(0, MOST_PILLS - 1) : order;
  const rest = order.slice(shown.length);
  const old = rest.filter((source) => stale(source, now)).length;
  return (
    <>
      {shown.map((source) => (
        <SourcePill key={source.source} source={source} />
      ))}
      {rest.length ? (
        <a class={`pill source tone-${old ? "wait" : "quiet"}`} href={href("/settings")}>
          <Icon name={old ? "warn" : "check"} size={13} />
          <span>{`${plural(rest.length, "more source")}${old ? `, ${old} stale` : ""}`}</span>
        </a>
      ) : null}
    </>
  );
}

function SourcePill({ source }: { source: Source }) {
  const now = useNow();
  const age = since(source.last_good_at, now);
  const old = stale(source, now);
  const name = source.source.replace(/^cloud:/, "");
  const text = age === null ? "never seen" : duration(age);
  const why = [
    source.error,
    source.stale_facets.length ? `old parts: ${source.stale_facets.join(", ")}` : "",
    source.last_good_at ? `last good answer ${new Date(source.last_good_at).toLocaleString()}` : "no good answer yet",
  ]
    .filter(Boolean)
    .join("; ");
  return (
    <a class={`pill source tone-${old ? "wait" : "quiet"}`} href={href("/settings")} title={`${source.source}: ${why}`}>
      <Icon name={old ? "warn" : "check"} size={13} />
      <span>{name}</span>
      <span class="pill-age num">{old && age !== null ? `stale ${text}` : text}</span>
    </a>
  );
}
