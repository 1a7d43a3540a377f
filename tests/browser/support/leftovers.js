/** What a test has started, and how it is ended, whatever has become of the test. */

export class Leftovers {
  /** @type {(() => Promise<void> | void)[]} */
  #undo = [];

  /** @param {() => Promise<void> | void} undo */
  add(undo) {
    this.#undo.push(undo);
  }

  /** Ends all of it, the last first; what goes wrong with one keeps none of the others. */
  async clear() {
    const errors = [];
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 1) throw new AggregateError(errors, errors.map(({ message }) => message).join("\n"));
    if (errors.length > 0) throw errors[0];
  }
}
