import { describe, expect, it } from "vitest";
import { compact, count, duration, instant, memory, money, plural, since, walltime } from "../src/lib/format";

describe("duration", () => {
  it.each([
    [0, "0 s"],
    [59.4, "59 s"],
    [59.6, "1 min"],
    [90, "1 min 30 s"],
    [599, "9 min 59 s"],
    [601, "10 min"],
    [3600, "1 h"],
    [12_000, "3 h 20 min"],
    [86_400, "1 d"],
    [187_200, "2 d 4 h"],
    [-5, "0 s"],
  ])("%f s is %s", (seconds, text) => expect(duration(seconds)).toBe(text));
  it("has no figure for what is not known", () => {
    expect(duration(null)).toBe("–");
    expect(duration(Number.NaN)).toBe("–");
  });
});

it("prints figures without a unit so that they fit an axis", () => {
  expect([0, 0.25, 7, 980, 1234, 20_000, 999_700, 35e6, 1.4e9, 2e15, -1500].map(compact)).toEqual([
    "0",
    "0.25",
    "7",
    "980",
    "1.23 k",
    "20 k",
    "1 M",
    "35 M",
    "1.4 G",
    "2 P",
    "-1.5 k",
  ]);
  expect(compact(null)).toBe("–");
});

it("prints walltimes as schedulers do", () => {
  expect(walltime(0)).toBe("–");
  expect(walltime(3723)).toBe("01:02:03");
  expect(walltime(93_784)).toBe("1-02:03:04");
});

it("prints figures with groups, money with the digits it needs", () => {
  expect(count(12_345)).toBe("12,345");
  expect(count(null)).toBe("–");
  expect(money(1234.5)).toBe("1,234.50");
  expect(money(0.043)).toBe("0.043");
  expect(money(0)).toBe("0.00");
  expect(plural(1, "node")).toBe("1 node");
  expect(plural(2000, "node")).toBe("2,000 nodes");
});

it("prints memory in units that people use", () => {
  expect(memory(0)).toBe("–");
  expect(memory(512)).toBe("512 MiB");
  expect(memory(8000)).toBe("7.8 GiB");
  expect(memory(65_536)).toBe("64 GiB");
});

it("leaves the date out today, and never prints an invalid one", () => {
  const now = Date.parse("2026-11-20T12:00:00Z");
  expect(instant("2026-11-20T11:59:58Z", now)).toMatch(/^\d\d:\d\d:\d\d$/);
  expect(instant("2026-11-02T11:59:58Z", now)).toMatch(/^0[123] Nov /);
  expect(instant("nonsense", now)).toBe("–");
  expect(instant(null, now)).toBe("–");
  expect(since("2026-11-20T11:59:50Z", now)).toBe(10);
  expect(since("nonsense", now)).toBeNull();
});
