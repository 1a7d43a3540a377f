// @ts-check
/** How loud the microphone is, many times a second. */

/** Loud speech. Louder sound looks the same. */
const LOUD = 0.25;

export class Level {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AnalyserNode | null} */
  #analyser = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  #samples = new Float32Array(1024);

  /** @type {MediaStreamTrack | null} */
  #track = null;

  /** @param {MediaStreamTrack | null} track */
  listen(track) {
    if (track === this.#track) return;
    this.#track = track;
    this.#source?.disconnect();
    this.#source = null;
    if (!track) return;
    try {
      this.#context ??= new AudioContext();
      this.#analyser ??= new AnalyserNode(this.#context, { fftSize: 1024 });
      this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
      this.#source.connect(this.#analyser);
    } catch {
      // Firefox, where microphone and speaker have different rates: the level of incoming sound is not measured then.
    }
  }

  get isListening() {
    return this.#source !== null;
  }

  /** Browsers let sound begin after a touch; and phones stop it while one is called, or looks elsewhere. */
  wake() {
    if (this.#context && this.#context.state !== "running") this.#context.resume().catch(() => {});
  }

  /** From 0 to 1, as loud as it seems. */
  get value() {
    if (!this.#analyser || !this.#source) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.sqrt(Math.sqrt(power) / LOUD));
  }

  close() {
    this.listen(null);
    this.#context?.close().catch(() => {});
    this.#context = this.#analyser = null;
  }
}
