import assert from "node:assert/strict";
import { test } from "node:test";

import { clockOf } from "../js/wire/duration.js";

test("minutes and seconds, and hours once there are any", () => {
  for (const [ms, shown] of [[0, "0:00"], [9_999, "0:09"], [61_000, "1:01"], [3_599_999, "59:59"], [3_600_000, "1:00:00"], [45_296_000, "12:34:56"]]) {
    assert.equal(clockOf(ms), shown);
  }
});
