/** What a page is watched by from before its first script; runs inside the page, and changes nothing that it does. */

/** Everything is collected in `window.watched`; times are milliseconds since 1970. */
export function watch() {
  const now = () => performance.timeOrigin + performance.now();
  const watched = {
    /** @type {RTCPeerConnection[]} */
    connections: [],
    /** When the connections became connected, and when the others' first pictures were there. @type {number[]} */
    connected: [],
    pictured: [],
    /** When the last click on something was, by its id. @type {Record<string, number>} */
    clicked: {},
    /** How often anything was to be negotiated. */
    negotiations: 0,
    /** The longest time without a new picture of somebody else, since it was last set to 0. */
    gap: 0,
    /** The others' pictures. Each counts its frames as `frames`, which Firefox does not do by itself. */
    videos: () => [...document.querySelectorAll("#stage .tile:not(.self) video")],
    /** All that was said in passing. @type {string[]} */
    toasts: [],
    /** Violations of the page's content security policy. @type {string[]} */
    violations: [],
  };
  Object.assign(window, { watched });

  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
    watched.violations.push(`${violatedDirective} ${blockedURI} ${sourceFile}:${lineNumber}`);
  });

  addEventListener("click", ({ target }) => (watched.clicked[target.closest?.("[id]")?.id] = now()), true);

  addEventListener("DOMContentLoaded", () => {
    const place = document.getElementById("toasts");
    const read = (records) => records.forEach(({ addedNodes }) => addedNodes.forEach((it) => watched.toasts.push(it.textContent)));
    if (place) new MutationObserver(read).observe(place, { childList: true });
  });

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(configuration) {
      super(configuration);
      watched.connections.push(this);
      this.addEventListener("negotiationneeded", () => (watched.negotiations += 1));
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") watched.connected.push(now());
      });
    }
  };

  // Events of media do not bubble, but they can be captured.
  addEventListener("loadeddata", ({ target: video }) => {
    if (!video.closest("#stage .tile:not(.self)")) return;
    watched.pictured.push(now());
    if (video.frames !== undefined) return;
    video.frames = 0;
    let last = now();
    const step = () => {
      video.frames += 1;
      watched.gap = Math.max(watched.gap, now() - last);
      last = now();
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback(step);
  }, true);
}
