import { expect, it } from "vitest";
import { href, nextSort, parse, parts, sortOf, toggled, words } from "../src/lib/route";

it("an address survives the way there and back", () => {
  const address = href("/nodes", { q: "a b&c=ü", state: "idle,busy", sort: "" });
  const url = new URL(address, "http://x");
  expect(parse(url.pathname, url.search)).toEqual({ path: "/nodes", query: { q: "a b&c=ü", state: "idle,busy" } });
});

it("the overview has the plain address", () => {
  expect(href("/")).toBe("/dashboard");
  expect(parse("/dashboard", "").path).toBe("/");
  expect(parse("/dashboard/", "").path).toBe("/");
  expect(parse("/dashboard/nodes/", "").path).toBe("/nodes");
});

it("parts are decoded, and what cannot be decoded is no disaster", () => {
  expect(parts(`/jobs/${encodeURIComponent("12[3]/x%")}`)).toEqual(["jobs", "12[3]/x%"]);
  expect(parts("/nodes/%E0%A4%A")).toEqual(["nodes", "%E0%A4%A"]);
});

it("filters are switched on and off", () => {
  expect(words("")).toEqual([]);
  expect(toggled(words("idle,busy"), "idle")).toEqual(["busy"]);
  expect(toggled(["busy"], "idle")).toEqual(["busy", "idle"]);
});

it("a second click on a head turns the order around", () => {
  const first = nextSort(sortOf("", "host_name"), "cores", true);
  expect(first).toBe("-cores");
  expect(nextSort(sortOf(first, "host_name"), "cores", true)).toBe("cores");
  expect(nextSort(sortOf("cores", "host_name"), "host_name", false)).toBe("host_name");
});
