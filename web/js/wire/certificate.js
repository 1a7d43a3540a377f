// @ts-check
/** The key of this page, which all its connections use: a connection that is built anew then has the same fingerprint. */

/**
 * @param {typeof globalThis.RTCPeerConnection} RTCPeerConnection
 * @returns {Promise<RTCCertificate[] | undefined>}  nothing if the browser cannot; each connection then makes its own
 */
export async function makeCertificates(RTCPeerConnection) {
  const kind = /** @type {EcKeyGenParams} */ ({ name: "ECDSA", namedCurve: "P-256" });
  try {
    return [await RTCPeerConnection.generateCertificate(kind)];
  } catch {
    return undefined;
  }
}
