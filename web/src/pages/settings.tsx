import { useState } from "preact/hooks";
import { changes } from "../api/client";
import type { Plan, Plugin, Source } from "../api/types";
import { type Loaded, live, useDocument, useNow } from "../api/use";
import { askAuto, askObserve, askReload } from "../app/actions";
import { type Theme, useApp } from "../app/context";
import { duration } from "../lib/format";
import { outline } from "../lib/outline";
import { stale } from "../lib/sources";
import { Ago, At, Empty, Facts, Failure, Loading, Panel } from "../ui/bits";
import { Icon } from "../ui/icon";

export function SettingsPage() {
  const app = useApp();
  const { data, error, again } = app.overview;
  if (!data) return error ? <Failure error={error} again={again} what="Settings" /> : <Loading what="settings" />;
  return (
    <>
      <header class="page-head">
        <h1>Settings</h1>
        <span class="muted">{`version ${data.status.version}`}</span>
      </header>
      <div class="split">
        <Mode />
        <Service />
      </div>
      <Sources />
      <Plugins />
      <PlanPanel />
      <Configuration />
    </>
  );
}

function Switch({
  label,
  on,
  disabled,
  change,
  help,
}: {
  label: string;
  on: boolean;
  disabled: boolean;
  change: () => void;
  help: string;
}) {
  return (
    <div class="switch-row">
      <div>
        <b>{label}</b>
        <p class="muted small">{help}</p>
      </div>
      <button
        type="button"
        role="switch"
        aria-checked={on}
        aria-label={label}
        class="switch"
        disabled={disabled}
        onClick={change}
      >
        <span class="switch-knob" />
        <span class="switch-word">{on ? "on" : "off"}</span>
      </button>
    </div>
  );
}

function Mode() {
  const app = useApp();
  const mode = app.overview.data?.status.mode;
  if (!mode) return null;
  return (
    <Panel title="How the service works">
      <Switch
        label="Automatic mode"
        on={mode.auto}
        disabled={!app.admin}
        change={() => askAuto(app, !mode.auto)}
        help="Launch nodes for waiting jobs and remove idle ones without being asked."
      />
      <Switch
        label="Observe-only"
        on={mode.observe_only}
        disabled={!app.admin}
        change={() => askObserve(app, !mode.observe_only)}
        help="Only look, and list what would be done."
      />
      <div class="switch-row">
        <div>
          <b>Configuration</b>
          <p class="muted small">Read the file again. Mistakes leave the present one in force.</p>
        </div>
        <button type="button" class="button" disabled={!app.admin} onClick={() => askReload(app)}>
          <Icon name="refresh" />
          Reload
        </button>
      </div>
      <div class="switch-row">
        <div>
          <b>Theme</b>
          <p class="muted small">Of this browser.</p>
        </div>
        <div class="segments" role="group" aria-label="Theme">
          {(["system", "light", "dark"] as Theme[]).map((theme) => (
            <button type="button" key={theme} aria-pressed={app.theme === theme} onClick={() => app.setTheme(theme)}>
              {theme}
            </button>
          ))}
        </div>
      </div>
      {app.admin ? null : <p class="muted small">Changing how the service works needs the role admin.</p>}
    </Panel>
  );
}

function Service() {
  const app = useApp();
  const status = app.overview.data?.status;
  if (!status) return null;
  return (
    <Panel title="The service">
      <Facts
        rows={[
          ["Cluster", status.cluster_id],
          ["Running since", <At at={status.started_at} />],
          ["Ready", status.ready ? "yes" : status.not_ready.join("; ")],
          [
            "Last decision",
            <span>
              <Ago at={status.decided_at} suffix=" ago" />
              {`, number ${status.tick}, took ${(1000 * status.tick_s).toFixed(1)} ms`}
            </span>,
          ],
          ["Store", status.store_error || "works"],
          ["Results not taken in", String(status.inbox_length)],
          ["You are", app.session ? `${app.session.name} (${app.session.role})` : ""],
          ["Your session ends", app.session?.expires_at ? <At at={app.session.expires_at} /> : "–"],
        ]}
      />
    </Panel>
  );
}

function Sources() {
  const app = useApp();
  const status = app.overview.data?.status;
  if (!status) return null;
  const nudge = (source: string) => {
    changes
      .nudge(source)
      .then(() => {
        app.say(`${source} is being asked.`);
        live.tell(new Set(["status", "sources"]));
      })
      .catch((error: Error) => app.say(error.message, true));
  };
  return (
    <Panel title="Sources">
      <div class="scroll-x">
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">Source</th>
              <th scope="col">State</th>
              <th scope="col" class="num">
                Last good answer
              </th>
              <th scope="col" class="num">
                Asked every
              </th>
              <th scope="col" class="num">
                Failures
              </th>
              <th scope="col">Remarks</th>
              <th scope="col">
                <span class="sr">Ask now</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {status.sources.map((source) => (
              <tr key={source.source}>
                <td class="mono">{source.source}</td>
                <td>
                  <SourceState source={source} />
                </td>
                <td class="num">{source.last_good_at ? <Ago at={source.last_good_at} suffix=" ago" /> : "never"}</td>
                <td class="num">{duration(source.poll_s)}</td>
                <td class="num">{source.failures}</td>
                <td>
                  {[
                    source.error,
                    source.stale_facets.length ? `old parts: ${source.stale_facets.join(", ")}` : "",
                    source.dropped.length ? `left out: ${source.dropped.join("; ")}` : "",
                  ]
                    .filter(Boolean)
                    .join(" · ") || <span class="muted">–</span>}
                </td>
                <td>
                  <button
                    type="button"
                    class="button small"
                    disabled={!app.operator}
                    onClick={() => nudge(source.source)}
                  >
                    Ask now<span class="sr">{` ${source.source}`}</span>
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function SourceState({ source }: { source: Source }) {
  const now = useNow();
  const [tone, icon, word] = !source.ok
    ? ["bad", "warn", source.failures ? "Fails" : "Not seen yet"]
    : stale(source, now)
      ? ["wait", "warn", "Stale"]
      : ["good", "check", "Answers"];
  return (
    <span
      class={`chip tone-${tone}`}
      title={`Stale: no good answer for ${duration(source.stale_after_s)}, or parts of it are old.`}
    >
      <Icon name={icon} size={13} />
      {word}
    </span>
  );
}

const PLUGIN_STATES: Record<Plugin["state"], { tone: string; icon: string; word: string; means: string }> = {
  works: { tone: "good", icon: "check", word: "Works", means: "Its last look went well." },
  new: { tone: "wait", icon: "clock", word: "Not looked yet", means: "It has not looked since the service started." },
  fails: {
    tone: "bad",
    icon: "cross",
    word: "Fails",
    means: "Its last look failed. It looks again, more and more rarely.",
  },
  "cut-off": {
    tone: "bad",
    icon: "warn",
    word: "Cut off",
    means: "Its last look has not come back in time. It is left to itself until it does.",
  },
};

function Plugins() {
  const plugins = useApp().overview.data?.status.plugins ?? [];
  return (
    <Panel title="Plug-ins" aside={<span class="muted">the service goes on without those that fail</span>}>
      {plugins.length ? (
        // it may scroll, so the keyboard must reach it
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Plug-ins">
          <table class="plain-table">
            <thead>
              <tr>
                <th scope="col">Plug-in</th>
                <th scope="col">State</th>
                <th scope="col" class="num">
                  Last good look
                </th>
                <th scope="col" class="num">
                  Failures
                </th>
                <th scope="col">Last error</th>
              </tr>
            </thead>
            <tbody>
              {plugins.map((plugin) => {
                const look = PLUGIN_STATES[plugin.state];
                return (
                  <tr key={plugin.name}>
                    <td class="mono">{plugin.name}</td>
                    <td>
                      <span class={`chip tone-${look.tone}`} title={look.means}>
                        <Icon name={look.icon} size={13} />
                        {look.word}
                      </span>
                    </td>
                    <td class="num">
                      {plugin.last_good_at ? <Ago at={plugin.last_good_at} suffix=" ago" /> : "never"}
                    </td>
                    <td class="num">{plugin.failures}</td>
                    <td>{plugin.error || <span class="muted">–</span>}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      ) : (
        <Empty icon="layers" title="No plug-ins">
          The section <code>plugins:</code> of the configuration is empty.
        </Empty>
      )}
    </Panel>
  );
}

function PlanPanel() {
  const [wanted, setWanted] = useState(false);
  const plan: Loaded<Plan> = useDocument(wanted ? "/api/v1/plan" : null, []);
  const ask = () => (wanted ? plan.again() : setWanted(true));
  return (
    <Panel
      title="What a decision would do now"
      aside={
        <button type="button" class="button small" onClick={ask}>
          {wanted ? "Again" : "Work it out"}
        </button>
      }
    >
      {!wanted ? (
        <p class="muted">A dry run: nothing is stored or done.</p>
      ) : plan.data ? (
        <>
          <p class="lead">{plan.data.sentence || "Nothing."}</p>
          {plan.data.actions.length + plan.data.proposals.length ? (
            <ul class="lines">
              {plan.data.actions.map((action) => (
                <li
                  key={action.action_id}
                >{`${action.kind} ${action.host_name || action.resource}: ${action.reason}`}</li>
              ))}
              {plan.data.proposals.map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          ) : (
            <p class="muted">No launches, no removals.</p>
          )}
        </>
      ) : plan.error ? (
        <Failure error={plan.error} again={plan.again} what="The plan" />
      ) : (
        <Loading what="the plan" />
      )}
    </Panel>
  );
}

function Configuration() {
  const config: Loaded<Record<string, unknown>> = useDocument("/api/v1/config", []);
  const [search, setSearch] = useState("");
  const lines = config.data ? outline(config.data, search) : [];
  return (
    <Panel
      title="Configuration in force"
      aside={
        <input
          type="search"
          class="small-search"
          aria-label="Search the configuration"
          placeholder="Search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
      }
    >
      <p class="muted small">Secrets are left out by the service.</p>
      {config.data ? (
        lines.length ? (
          // it scrolls, so the keyboard must reach it
          <div class="config" tabIndex={0} role="region" aria-label="Configuration in force">
            {lines.map((line) => (
              <div key={line.path} class="config-line" style={{ paddingLeft: `${line.depth * 18}px` }}>
                <span class="config-key">{line.key}</span>
                {line.value === null ? null : <span class="config-value">{line.value}</span>}
              </div>
            ))}
          </div>
        ) : (
          <Empty icon="search" title="No key matches" />
        )
      ) : config.error ? (
        <Failure error={config.error} again={config.again} what="The configuration" />
      ) : (
        <Loading what="the configuration" />
      )}
    </Panel>
  );
}
