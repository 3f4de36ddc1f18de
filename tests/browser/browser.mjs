// A headless Chromium that asks nobody for anything; the variable CHROMIUM says where it is.
import { chromium } from "playwright-core";

export function start() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
      ...(process.getuid() === 0 ? ["--no-sandbox"] : []), // Chromium's sandbox refuses to run as root
    ],
  });
}
