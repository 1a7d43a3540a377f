// @ts-check
/** The status page of the admin listener: the daemon as it is, and its last hour. */

import { startBar } from "./view/bar.js";
import { Status } from "./view/status.js";

await startBar();
new Status().start();
