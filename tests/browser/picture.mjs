// Take the picture of a page's upper part: `node tests/browser/picture.mjs <page> <picture>`.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { start } from "./browser.mjs";

const [page, picture] = process.argv.slice(2);
const size = { width: 1140, height: 1600 };
const browser = await start();
try {
  const tab = await browser.newPage({ viewport: size, colorScheme: "light" });
  await tab.goto(pathToFileURL(resolve(page)).href);
  await tab.screenshot({ path: picture });
} finally {
  await browser.close();
}
