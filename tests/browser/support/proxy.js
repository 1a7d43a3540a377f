/** A reverse proxy as people write it for nginx: it serves a site under a path of its own, beside others on the same host. */

import { createServer, request } from "node:http";
import { connect } from "node:net";

/**
 * @param {object} options
 * @param {number} options.port  where it listens
 * @param {number} options.to  the port of the site
 * @param {string} options.path  such as `/call`
 * @param {boolean} options.strips  whether the site is not told the path
 * @returns {Promise<() => Promise<void>>} closes it
 */
export async function proxy({ port, to, path, strips }) {
  const inside = (/** @type {string} */ url) => (url === path || url.startsWith(`${path}/`) ? (strips ? url.slice(path.length) || "/" : url) : null);
  const server = createServer((asked, answer) => {
    const url = inside(asked.url ?? "");
    if (!url) return answer.writeHead(404).end("another site");
    const headers = { ...asked.headers, "x-forwarded-for": "198.51.100.7" };
    const passed = request({ port: to, path: url, method: asked.method, headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  server.on("upgrade", (asked, near, head) => {
    const url = inside(asked.url ?? "");
    if (!url) return near.destroy();
    const far = connect(to, "127.0.0.1", () => {
      const lines = Object.entries({ ...asked.headers, "x-forwarded-for": "198.51.100.7" }).map(([name, value]) => `${name}: ${value}`);
      far.write([`GET ${url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      far.write(head);
      near.pipe(far);
      far.pipe(near);
    });
    for (const [end, other] of [[near, far], [far, near]]) {
      sockets.add(end);
      end.on("error", () => other.destroy());
      end.on("close", () => other.destroy());
    }
  });
  await new Promise((listens) => server.listen(port, "127.0.0.1", () => listens(undefined)));
  return () => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    return new Promise((closed) => server.close(() => closed()));
  };
}
