/** A reverse proxy that gives every page one more script, before its own: for a browser whose driver cannot. */

import { createServer, request } from "node:http";
import { connect } from "node:net";

const PATH = "/injected.js";

/**
 * @param {number} target  the daemon's
 * @param {() => void} script  runs in the page before its first script
 * @returns {Promise<import("node:http").Server>}  on a port of its own
 */
export async function inject(target, script) {
  const server = createServer((asked, answer) => {
    if (asked.url === PATH) return answer.setHeader("content-type", "text/javascript").end(`(${script})()`);
    const { "accept-encoding": _, ...headers } = asked.headers;
    const forwarded = request({ host: "127.0.0.1", port: target, method: asked.method, path: asked.url, headers }, (reply) => {
      const isPage = reply.headers["content-type"]?.startsWith("text/html");
      const { "content-length": length, ...rest } = reply.headers;
      answer.writeHead(reply.statusCode ?? 502, isPage ? rest : reply.headers);
      if (!isPage) return void reply.pipe(answer);
      let html = "";
      reply.setEncoding("utf8").on("data", (text) => (html += text));
      reply.on("end", () => answer.end(html.replace("<head>", `<head><script src="${PATH}"></script>`)));
    });
    forwarded.on("error", () => answer.destroy());
    asked.pipe(forwarded);
  });
  server.on("upgrade", (asked, near, head) => {
    const far = connect(target, "127.0.0.1", () => {
      const lines = Object.entries(asked.headers).map(([name, value]) => `${name}: ${value}`);
      far.write(`GET ${asked.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
      far.write(head);
      near.pipe(far).pipe(near);
    });
    for (const [end, other] of [[near, far], [far, near]]) end.on("error", () => other.destroy()).on("close", () => other.destroy());
  });
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  return server;
}
