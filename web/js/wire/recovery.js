// @ts-check
/** Decides when to restart a connection that has stopped working. */

/** A disconnected pair often recovers without help; after this time it is restarted. */
const PATIENCE = 3_000;
/** A restart that has not succeeded after this time has failed. */
const ATTEMPT = 8_000;
/** The first attempt has more: both sides have just come. */
const FIRST = 15_000;
/** After this many failures the user is offered the relay. */
export const OFFER_RELAY_AFTER = 2;
/** After this many failures, the connection is discarded and built again. */
export const REBUILD_AFTER = 3;

export class Recovery {
  #restart;
  #clock;
  #failures = 0;
  /** @type {RTCPeerConnectionState} */
  #state = "new";
  #cancel = () => {};

  /**
   * @param {object} parts
   * @param {(failures: number) => void} parts.restart
   * @param {import("./clock.js").Clock} parts.clock
   */
  constructor({ restart, clock }) {
    this.#restart = restart;
    this.#clock = clock;
  }

  /** @param {RTCPeerConnectionState} state */
  see(state) {
    this.#state = state;
    switch (state) {
      case "connected":
        this.#cancel();
        this.#failures = 0;
        return;
      case "disconnected":
        return this.#later(PATIENCE);
      case "failed":
        return this.#act();
      case "closed":
        return this.#cancel();
      case "new":
        // Without a single candidate, browsers wait forever.
        return this.#later(FIRST);
      case "connecting":
    }
  }

  /** The network has changed: a connection may be broken without having noticed it yet. */
  networkChanged() {
    if (this.#state === "new" || this.#state === "closed") return;
    if (this.#state === "connected") this.#failures = 0;
    this.#act();
  }

  /** Something went wrong that may not matter: look again in a moment. */
  doubt() {
    this.#later(PATIENCE);
  }

  /** The two sides do not fit together any more: begin anew, though not in a hurry, as the other side may be faster. */
  giveUp() {
    this.#state = "failed";
    this.#failures = REBUILD_AFTER;
    this.#later(PATIENCE);
  }

  close() {
    this.see("closed");
  }

  #act() {
    this.#restart(this.#failures);
    this.#failures += 1;
    // A connected pair that is restarted to be safe stays connected, and nothing more is needed.
    this.#later(ATTEMPT);
  }

  /** @param {number} ms */
  #later(ms) {
    this.#cancel();
    this.#cancel = this.#clock.after(ms, () => {
      if (this.#state !== "connected" && this.#state !== "closed") this.#act();
    });
  }
}
