// @ts-check
/** ICE URLs that have an address in place of a name (`http.literal_address`): for browsers that cannot look the name up. */

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
  return left.some(({ urls }) => urls[0].startsWith("turn")) ? left : servers;
}

/**
 * Safari 26.3 and 26.4 cannot look up the relay's name on some systems (WebKit 312332): they gather nothing, and say nothing.
 * @param {string} userAgent
 */
export function cannotLookUp(userAgent) {
  return /\bVersion\/26\.[34]\b.*\bSafari\//.test(userAgent);
}
