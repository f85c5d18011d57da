import { describe, expect, it } from "vitest";
import { pagesOf, rowsInSight, scrollFor } from "../src/lib/window";

describe("rows in sight", () => {
  it("are those of the window and some spare ones", () => {
    expect(rowsInSight(0, 340, 34, 10_000, 5)).toEqual({ first: 0, end: 15 });
    expect(rowsInSight(34_000, 340, 34, 10_000, 5)).toEqual({ first: 995, end: 1015 });
  });
  it("end with the list, also when it has shrunk below the place scrolled to", () => {
    expect(rowsInSight(1e9, 340, 34, 100, 5)).toEqual({ first: 85, end: 100 });
    expect(rowsInSight(500, 340, 34, 3, 5)).toEqual({ first: 0, end: 3 });
    expect(rowsInSight(0, 340, 34, 0)).toEqual({ first: 0, end: 0 });
  });
  it("are few however long the list is", () => {
    for (let top = 0; top < 3_400_000; top += 99_991) {
      const { first, end } = rowsInSight(top, 900, 34, 100_000);
      expect(end - first).toBeLessThan(45);
      expect(first * 34).toBeLessThanOrEqual(Math.min(top, 100_000 * 34 - 900));
    }
  });
});

it("pages cover the span, and nothing else", () => {
  expect(pagesOf({ first: 0, end: 0 }, 100)).toEqual([]);
  expect(pagesOf({ first: 0, end: 100 }, 100)).toEqual([0]);
  expect(pagesOf({ first: 95, end: 101 }, 100)).toEqual([0, 1]);
});

it("scrolls only if the row is out of sight", () => {
  expect(scrollFor(3, 0, 340, 34)).toBeNull();
  expect(scrollFor(10, 0, 340, 34)).toBe(34);
  expect(scrollFor(2, 200, 340, 34)).toBe(68);
});
