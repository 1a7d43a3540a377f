// @ts-check
/** Tries one ICE server and returns the outcome. */

/**
 * - `ok`           it works
 * - `no_nat`       STUN answers, and sees the address that the machine knows: there is no NAT
 * - `credential`   the server does not accept the credential
 * - `full`         the server has no free relay address
 * - `dns`          the server's name cannot be resolved
 * - `refused`      the connection is refused or reset, or the certificate is not accepted
 * - `silent`       no answer in time
 * - `loopback`     no answer in time, but the server is on this machine, where some browsers use no server
 * - `forbidden`    the browser refuses to try this URL
 * - `missing`      the server does not offer this
 * @typedef {"ok" | "no_nat" | "credential" | "full" | "dns" | "refused" | "silent" | "loopback" | "forbidden" | "missing"} Outcome
 */

/**
 * @typedef {object} Verdict
 * @property {Outcome} outcome
 * @property {number} ms  how long it took to know
 * @property {string} url
 * @property {string} address  the address that was obtained, or empty
 * @property {string} detail  the browser's own message, for developers
 */

/** Candidates that prove nothing if the server is on this machine. */
const UNHEARD = new Set(["dns", "refused", "silent"]);

/** Browsers wait for up to 40 seconds, and sometimes say nothing at all. */
export const PATIENCE = 8_000;

/**
 * @param {object} parts
 * @param {typeof globalThis.RTCPeerConnection} parts.RTCPeerConnection
 * @param {RTCIceServer} parts.server
 * @param {string} parts.url  the one of its URLs that is tried
 * @param {import("./clock.js").Clock} parts.clock
 * @returns {Promise<Verdict>}
 */
export function probe({ RTCPeerConnection, server, url, clock }) {
  const begun = clock.now();
  const isStun = url.startsWith("stun");
  const isNear = /^\w+:(127\.|\[::1\]|localhost[:?])/.test(url);
  let detail = "";
  return new Promise((resolve) => {
    const done = (/** @type {Outcome} */ known, address = "") => {
      cancel();
      pc?.close();
      const outcome = isNear && UNHEARD.has(known) ? "loopback" : known;
      resolve({ outcome, ms: clock.now() - begun, url, address, detail });
    };
    /** An error on one network may be followed by success on another, so errors count only if nothing else arrives. @type {Outcome | null} */
    let worst = null;
    /** Addresses of this machine, and those from which the server could not be reached. */
    let [hosts, failures] = [0, 0];
    // A name without an IPv6 address is unknown only to the machine's IPv6 address: the answers still pending did resolve it.
    const cancel = clock.after(PATIENCE, () => done(worst === null || worst === "dns" ? "silent" : worst));
    /** @type {RTCPeerConnection | null} */
    let pc = null;
    try {
      pc = new RTCPeerConnection({
        iceServers: [{ ...server, urls: [url] }],
        iceTransportPolicy: isStun ? "all" : "relay",
      });
    } catch (error) {
      detail = String(error);
      return done("forbidden");
    }
    pc.onicecandidateerror = ({ errorCode, errorText }) => {
      detail = `${errorCode} ${errorText}`.trim();
      const outcome = outcomeOf(errorCode, errorText);
      failures += 1;
      if (worst === null || outcome !== "dns") worst = outcome;
      // The server has answered; no better outcome will follow.
      if (outcome === "credential" || outcome === "full") done(outcome);
    };
    pc.onicecandidate = ({ candidate }) => {
      // STUN that finds no other address than the machine's own tells nothing.
      const isAnswered = isStun && failures < hosts;
      if (candidate === null) return done(isAnswered ? "no_nat" : (worst ?? "refused"));
      const { type, transport, address, port } = fields(candidate);
      if (type === (isStun ? "srflx" : "relay")) return done("ok", address && `${address}:${port}`);
      if (type === "host" && transport === "udp") hosts += 1;
    };
    // Safari gathers nothing without something to send.
    pc.createDataChannel("probe");
    pc.setLocalDescription().catch(() => done("forbidden"));
  });
}

/** @param {number} code @param {string} text @returns {Outcome} */
function outcomeOf(code, text) {
  if (code === 401 || code === 403 || code === 438) return "credential";
  if (code === 486 || code === 508) return "full";
  if (code >= 300 && code < 700) return "refused";
  return /host lookup|resolve|dns/i.test(text) ? "dns" : "refused";
}

/** From the candidate itself, as not every browser fills in the properties. @param {RTCIceCandidate} candidate */
function fields({ candidate }) {
  const words = candidate.split(" ");
  const [, , transport = "", , address = "", port = ""] = words;
  return { transport: transport.toLowerCase(), address, port, type: words[words.indexOf("typ") + 1] ?? "" };
}
