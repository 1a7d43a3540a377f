// @ts-check
/** Gives every RTCPeerConnection of a page this server's relay: `<script src="https://turn.example.org/compat.js"></script>`
 * before the page's own scripts, and nothing else changes. It is no module, because modules run later.
 *
 * The constructor needs the servers at once, so they are asked for before the page's next script runs. They are not in this
 * file: browsers do not say which site's page includes a script, and so every site could use the relay.
 */
{
  const script = /** @type {HTMLScriptElement | null} */ (document.currentScript);
  const Native = window.RTCPeerConnection;
  /** An API key that the page may use, or a room token, where the server asks for one. */
  const { key, token } = script?.dataset ?? {};
  const address = script && new URL(key ? "api/v1/ice-servers" : "api/v1/page-ice", script.src).href;

  /** @type {RTCIceServer[] | undefined} */
  let iceServers;
  /** When other credentials are needed, in milliseconds of `Date.now()`. */
  let due = 0;
  /** @type {Set<WeakRef<RTCPeerConnection>>} */
  const connections = new Set();
  /** How long to wait after the server gave none. */
  const RETRY = 60_000;

  const headers = () => (key ?? token ? { Authorization: `Bearer ${key ?? token}` } : undefined);

  /** @param {string} why */
  const complain = (why) => console.warn(`compat.js: this page gets no relay from ${address}: ${why}`);

  /** @param {{ iceServers: RTCIceServer[], ttl: number }} answer */
  const take = (answer) => {
    iceServers = answer.iceServers;
    due = Date.now() + answer.ttl * 800;
    setTimeout(renew, answer.ttl * 800);
  };

  /** Asks while everything else waits. */
  const askNow = () => {
    due = Date.now() + RETRY;
    const request = new XMLHttpRequest();
    request.open("POST", /** @type {string} */ (address), false);
    for (const [name, value] of Object.entries(headers() ?? {})) request.setRequestHeader(name, value);
    try {
      request.send();
      if (request.status === 201) take(JSON.parse(request.responseText));
      else complain(request.responseText || `status ${request.status}`);
    } catch (error) {
      complain(`${error}. Is this page's origin in http.allowed_origins?`);
      setTimeout(renew, RETRY);
    }
  };

  /** Asks in the background, and gives connections that are open what the next ICE restart needs. */
  const renew = async () => {
    if (Date.now() < due) return; // A later answer has come meanwhile.
    try {
      const answer = await fetch(/** @type {string} */ (address), { method: "POST", headers: headers() });
      if (!answer.ok) throw new Error(await answer.text());
      take(await answer.json());
    } catch (error) {
      complain(String(error));
      due = Date.now() + RETRY;
      setTimeout(renew, RETRY);
      return;
    }
    for (const reference of connections) {
      const connection = reference.deref();
      if (!connection || connection.signalingState === "closed") connections.delete(reference);
      else connection.setConfiguration(connection.getConfiguration());
    }
  };

  /** The page's configuration with other servers. Whatever else it says stays. @param {RTCConfiguration | undefined} configuration */
  const ours = (configuration) => {
    const isUsable = configuration === undefined || configuration === null || typeof configuration === "object";
    if (!iceServers || !isUsable) return configuration;
    return Object.assign(Object.create(configuration ?? null), { iceServers });
  };

  if (Native && address) {
    const { setConfiguration } = Native.prototype;
    Native.prototype.setConfiguration = function (/** @type {RTCConfiguration | undefined} */ configuration) {
      return setConfiguration.call(this, ours(configuration));
    };
    /** A proxy: what the page asks of the class, such as `instanceof` and `generateCertificate`, is answered by the class.
     * @type {typeof RTCPeerConnection} */
    const Relayed = new Proxy(Native, {
      construct(target, [configuration, ...rest], as) {
        // A timer is late when the device slept.
        if (Date.now() >= due) askNow();
        const connection = Reflect.construct(target, [ours(configuration), ...rest], as === Relayed ? target : as);
        connections.add(new WeakRef(connection));
        return connection;
      },
    });
    Native.prototype.constructor = Relayed;
    window.RTCPeerConnection = Relayed;
    if ("webkitRTCPeerConnection" in window) window.webkitRTCPeerConnection = Relayed;
    askNow();
  } else if (!address) {
    console.warn("compat.js: load it by a script tag of its own, without type=module");
  }
}
