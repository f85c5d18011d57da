import { expect, it } from "vitest";
import { ApiFailure } from "../src/api/client";
import { topics } from "../src/api/live";
import type { HistoryEvent } from "../src/api/types";
import { halfDone, summary } from "../src/app/actions";
import { below, bridged, columns, distinct, highest } from "../src/lib/graphite";
import { lifeOf } from "../src/lib/life";
import { outline } from "../src/lib/outline";
import { stale } from "../src/lib/sources";
import { newest, stacked } from "../src/lib/stack";
import { EVENT_KINDS, grouped, JOB_STATES, jobLook, kindLook, NODE_STATES, nodeLook } from "../src/lib/states";

it("an odd message of the stream asks for too much rather than too little", () => {
  expect([...topics('{"changed":["nodes","nonsense"]}')]).toEqual(["nodes"]);
  expect(topics("not json").size).toBe(6);
  expect(topics('{"changed":7}').size).toBe(6);
});

it("every state has a word and an icon, and strange ones are shown as they are", () => {
  for (const look of [...NODE_STATES.map(nodeLook), ...JOB_STATES.map(jobLook), ...EVENT_KINDS.map(kindLook)]) {
    expect(look.word).not.toBe("");
    expect(look.icon).not.toBe("");
  }
  expect(nodeLook("frobbed").word).toBe("frobbed");
});

it("states are grouped for bars without losing any but those that are gone", () => {
  const all = Object.fromEntries(NODE_STATES.map((state) => [state, 1]));
  expect(grouped(all).reduce((sum, group) => sum + group.count, 0)).toBe(NODE_STATES.length - 1);
  expect(grouped({ idle: 0 })).toEqual([]);
});

const event = (seq: number, at: string, to_state: string): HistoryEvent => ({
  seq,
  at,
  kind: "node",
  text: "",
  actor: "engine",
  node_id: "n",
  host_name: "h",
  resource: "r",
  job_id: "",
  from_state: "",
  to_state,
});

it("a life is read from events in any order, and changes of the reason alone are no new span", () => {
  const events = [
    event(3, "2026-01-01T00:01:00Z", "idle"),
    event(1, "2026-01-01T00:00:00Z", "requested"),
    event(2, "2026-01-01T00:00:20Z", "starting"),
    event(4, "2026-01-01T00:02:00Z", "idle"),
    event(5, "2026-01-01T00:03:00Z", ""),
  ];
  const { spans } = lifeOf(events, Date.parse("2026-01-01T00:04:00Z"));
  expect(spans.map((span) => [span.state, span.seconds])).toEqual([
    ["requested", 20],
    ["starting", 40],
    ["idle", 180],
  ]);
  const ended = lifeOf([...events, event(6, "2026-01-01T00:04:00Z", "gone")], null).spans;
  expect(ended.map((span) => span.state)).toEqual(["requested", "starting", "idle"]);
  expect(ended[2]?.seconds).toBe(180);
});

it("areas lie on each other, and gaps stay gaps", () => {
  const line = (values: (number | null)[], kind: "area" | "line") => ({ name: "", values, colour: "", kind });
  expect(stacked([line([1, null, 2], "area"), line([9, 9, 9], "line"), line([3, 4, null], "area")])).toEqual([
    [1, null, 2],
    [9, 9, 9],
    [4, 4, null],
  ]);
});

it("series of Graphite with steps of their own share one axis", () => {
  const drawn = columns(
    [
      {
        target: "dc.nodes.busy",
        datapoints: [
          [1, 10],
          [null, 20],
          [3, 30],
        ],
      },
      { target: "other", datapoints: [[5, 20]] },
    ],
    below("dc", ["dc.nodes.busy", "other"]),
  );
  expect(drawn.at).toEqual([10, 20, 30]);
  expect(drawn.series).toEqual([
    { name: "nodes.busy", values: [1, null, 3] },
    { name: "other", values: [null, 5, null] },
  ]);
});

it("a legend says only what series do not have in common", () => {
  const net = (what: string) => `collectd.h.interface-${what}`;
  expect(distinct([net("eth0.if_octets.rx"), net("eth0.if_octets.tx")])).toEqual(["rx", "tx"]);
  expect(distinct([net("eth0.if_octets.rx"), net("ib0.if_octets.tx")])).toEqual([
    "interface-eth0 rx",
    "interface-ib0 tx",
  ]);
  expect(distinct(["a.b.c", "a.b.d.e"])).toEqual(["c", "d e"]);
  expect(distinct(["collectd.h.load.load.shortterm"])).toEqual(["shortterm"]);
  expect(distinct(["a.b", "a.b"])).toEqual(["a.b", "a.b"]);
  expect(distinct([])).toEqual([]);
});

it("places that are never filled are no gap in a line, and a time without values is", () => {
  const every10 = [...Array(12).keys()].map((n) => n * 10);
  const sparse = [1, null, 2, null, 3, null, null, null, null, null, 4, null];
  expect(bridged(every10, sparse)).toEqual([1, undefined, 2, undefined, 3, null, null, null, null, null, 4, null]);
  expect(bridged(every10, Array(12).fill(null))).toEqual(Array(12).fill(null));
  expect(bridged([0, 10], [5, null])).toEqual([5, null]);
});

it("the legend shows the newest instant that has a value", () => {
  expect(
    newest([
      [1, 2, 3, 4],
      [1, 2, null, null],
      [1, null, 3, undefined],
    ]),
  ).toBe(2);
  expect(
    newest([
      [1, 2],
      [null, null],
    ]),
  ).toBe(1);
  expect(newest([])).toBe(-1);
});

it("of too many series those that are highest now are drawn, and none without a value", () => {
  const series = [
    { name: "low", values: [9, 1] },
    { name: "none", values: [null, null] },
    { name: "high", values: [1, 9, null] },
    { name: "middle", values: [5] },
  ];
  expect(highest(series, 2).map((one) => one.name)).toEqual(["high", "middle"]);
  expect(highest(series, 9).map((one) => one.name)).toEqual(["low", "high", "middle"]);
});

it("each source has its own age from which on it is stale", () => {
  const now = Date.parse("2026-01-01T01:00:00Z");
  const source = { ok: true, last_good_at: "2026-01-01T00:50:00Z", stale_after_s: 3600, stale_facets: [] };
  expect(stale(source, now)).toBe(false);
  expect(stale({ ...source, stale_after_s: 60 }, now)).toBe(true);
  expect(stale({ ...source, ok: false }, now)).toBe(true);
  expect(stale({ ...source, last_good_at: null }, now)).toBe(true);
  expect(stale({ ...source, stale_facets: ["priorities"] }, now)).toBe(true);
});

it("a change of many nodes that breaks off says what was done and what was not asked", () => {
  const lost = halfDone("Hold asked for: 400 nodes.", 9600, new ApiFailure(0, "unreachable", "No answer."));
  expect(lost).toBeInstanceOf(ApiFailure);
  expect(lost.message).toBe(
    "Hold asked for: 400 nodes. Then it broke off: No answer. Not asked for: the last 9,600 nodes.",
  );
});

it("modes of files read as they are written", () => {
  expect(outline({ socket_mode: 384, port: 384 }).map((line) => line.value)).toEqual(["0600", "384"]);
});

it("a configuration is read as lines, and searched with the keys above a hit", () => {
  const document = { cloud: { fast: { quantity: { min: 0, max: 4 }, queues: [] } }, logging: { level: 2 } };
  expect(outline(document).map((line) => `${line.depth} ${line.key} ${line.value ?? ""}`.trim())).toEqual([
    "0 cloud",
    "1 fast",
    "2 quantity",
    "3 min 0",
    "3 max 4",
    "2 queues none",
    "0 logging",
    "1 level 2",
  ]);
  expect(outline(document, "max").map((line) => line.key)).toEqual(["cloud", "fast", "quantity", "max"]);
  expect(outline(document, "nothing")).toEqual([]);
});

it("says what was done and what was refused", () => {
  expect(summary("hold", { done: ["a", "b"], refused: [] })).toBe("Hold asked for: 2 nodes.");
  expect(summary("delete", { done: [], refused: [{ node: "a", code: "bad-state", message: "hold it first" }] })).toBe(
    "Refused: a: hold it first",
  );
});
