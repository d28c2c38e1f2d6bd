/* Headless Chromium that reaches no other host than this machine. */
import { createRequire } from "node:module";
import { join } from "node:path";

/* MODULES is the folder of the package.json that names playwright-core. */
export function launch(modules, executablePath) {
  const { chromium } = createRequire(join(modules, "package.json"))("playwright-core");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}
