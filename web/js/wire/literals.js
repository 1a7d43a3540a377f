// @ts-check
/** ICE URLs that have an address in place of a name: for browsers that cannot look the name up. */

/**
 * The servers, and beside them TURN URLs by the relay's addresses, for the same credential; a server may also have put such a
 * URL among the others (`http.literal_address`).
 * @typedef {{ iceServers: RTCIceServer[], by_address?: string[] }} Offered
 */

/** An IPv4 address, or an IPv6 address in brackets. */
const LITERAL = /^turns?:(\d+(\.\d+){3}|\[)/;

/** @param {string} url */
export function isLiteral(url) {
  return LITERAL.test(url);
}

/**
 * Without them, if others are left: each URL delays the start of every call.
 * @param {RTCIceServer[]} servers
 * @returns {RTCIceServer[]}
 */
export function withoutLiterals(servers) {
  const named = servers.map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => !isLiteral(url)) }));
  const left = named.filter(({ urls }) => urls.length > 0);
  return left.some(({ urls }) => isTurn(urls)) ? left : servers;
}

/**
 * With all of them, among the URLs that have the credential.
 * @param {Offered} offered
 * @returns {RTCIceServer[]}
 */
export function withLiterals({ iceServers, by_address = [] }) {
  const given = new Set(iceServers.flatMap(({ urls }) => urls));
  const more = by_address.filter((url) => !given.has(url));
  const at = iceServers.findLastIndex(({ urls }) => isTurn(urls));
  return iceServers.map((server, index) => (index === at && more.length > 0 ? { ...server, urls: [server.urls, more].flat() } : server));
}

/** Whether some are kept back. @param {Offered} offered */
export function hasLiterals(offered) {
  const count = (/** @type {RTCIceServer[]} */ servers) => servers.flatMap(({ urls }) => urls).length;
  return count(withLiterals(offered)) > count(withoutLiterals(offered.iceServers));
}

/**
 * Safari 26.3 and 26.4 cannot look up the relay's name on some systems (WebKit 312332): they gather nothing, and say nothing.
 * @param {string} userAgent
 */
export function cannotLookUp(userAgent) {
  return /\bVersion\/26\.[34]\b.*\bSafari\//.test(userAgent);
}

/** @param {string | string[]} urls */
function isTurn(urls) {
  return [urls].flat()[0]?.startsWith("turn") ?? false;
}
