import { describe, expect, it } from "vitest";
import type { Resource } from "../src/api/types";
import { madeUp, named, ofLaunch, ofNodes, ofResource } from "../src/lib/consequences";

const node = (host_name: string, state: string, jobs: string[] = []) => ({
  node_id: host_name,
  host_name,
  state,
  jobs,
});

describe("what an action on nodes will do", () => {
  it("names a single node, and counts several", () => {
    expect(ofNodes("hold", [node("dc-1", "idle")], false).title).toBe("Hold dc-1?");
    expect(ofNodes("hold", [node("a", "idle"), node("b", "busy")], false).title).toBe("Hold 2 nodes?");
  });
  it("says of many nodes in which states and of which resources they are", () => {
    const nodes = [node("a", "busy"), node("b", "idle"), node("c", "busy")].map((one, i) => ({
      ...one,
      resource: i ? "rack" : "cloud",
    }));
    expect(madeUp(nodes)).toBe("2 busy, 1 idle; of rack (2), cloud (1).");
    expect(madeUp([node("a", "held")])).toBe("1 held.");
  });
  it("says that held nodes let their jobs end, each job once", () => {
    const nodes = [node("a", "busy", ["1", "2"]), node("b", "busy", ["2"])];
    expect(ofNodes("hold", nodes, false).lines.join(" ")).toContain("2 running jobs on 2 nodes run to their end");
  });
  it("says that vacating interrupts jobs, and marks it as dangerous", () => {
    const said = ofNodes("vacate", [node("a", "busy", ["1"])], false);
    expect(said.lines.join(" ")).toContain("1 job will be interrupted");
    expect(said.danger).toBe(true);
  });
  it("says beforehand what the service will refuse", () => {
    expect(ofNodes("unhold", [node("a", "idle")], false).refused).toHaveLength(1);
    expect(ofNodes("hold", [node("a", "starting")], false).refused).toHaveLength(1);
    expect(ofNodes("delete", [node("a", "busy", ["1"])], false).refused.join()).toContain("hold first");
    expect(ofNodes("delete", [node("a", "terminating")], false).refused.join()).toContain("already");
  });
  it("has nothing to do when all of it would be refused", () => {
    expect(ofNodes("delete", [node("a", "busy")], false).idle).toBe(true);
    expect(ofNodes("delete", [node("a", "busy")], true).idle).toBe(false);
    expect(ofNodes("delete", [node("a", "busy"), node("b", "held")], false).idle).toBe(false);
    expect(ofNodes("hold", [node("a", "held")], false).idle).toBe(true);
    expect(ofNodes("unhold", [node("a", "held"), node("b", "idle")], false).idle).toBe(false);
    expect(ofNodes("vacate", [node("a", "terminating")], false).idle).toBe(true);
  });
  it("says that deletion with force waits for the jobs", () => {
    const said = ofNodes("delete", [node("a", "busy", ["1"]), node("b", "held")], true);
    expect(said.refused).toEqual([]);
    expect(said.lines.join(" ")).toContain("1 working node is held now and deleted once empty");
    expect(said.lines.join(" ")).toContain("1 node is taken out of the scheduler");
    expect(said.danger).toBe(true);
  });
});

const resource = {
  name: "fast",
  tenancy: "lab",
  current_nodes: 3,
  max_nodes: 5,
  min_nodes: 0,
  configured_min_nodes: 0,
  configured_max_nodes: 9,
  price_per_hour: 0.5,
  capacity: { cores: 4, memory_mib: 8000, gpus: 0 },
} as Resource;

it("names limits and costs of changes to a resource", () => {
  expect(ofResource("freeze", resource).lines.join(" ")).toContain("stays at 3 nodes");
  expect(ofResource("restore", resource).lines.join(" ")).toContain("0 to 9 nodes");
  expect(ofResource("drain", resource).danger).toBe(true);
  expect(ofLaunch(resource, 2).lines.join(" ")).toContain("1.00 per hour");
  expect(ofLaunch(resource, 2).refused).toEqual([]);
  expect(ofLaunch(resource, 3).refused.join()).toContain("maximum is 5");
});

it("names a few and counts the others", () => {
  expect(named(["a", "b"])).toBe("a, b");
  expect(named(["a", "b", "c"], 2)).toBe("a, b and 1 more");
});
