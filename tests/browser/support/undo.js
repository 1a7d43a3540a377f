/** What a test has begun is ended after it, the last first, whether it passed or not. */

import { afterEach } from "node:test";

/** @type {(() => Promise<void> | void)[]} */
const undone = [];

/** @param {() => Promise<void> | void} undo */
export function afterwards(undo) {
  undone.push(undo);
}

afterEach(async () => {
  const failures = [];
  for (const undo of undone.splice(0).reverse()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
});
