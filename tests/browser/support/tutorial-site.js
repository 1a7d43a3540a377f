/** The site of the tutorials' pages, as a program: `node tutorial-site.js SERVER ADDRESS PORT FOLDER`, with the folder of a certificate. */

import { site } from "./tutorials.js";

const [server, address, port, folder] = process.argv.slice(2);
site(server, folder).listen(Number(port), address, () => console.log("it serves"));
