// Look at every page of a folder in a real browser: `node tests/browser/check.mjs <folder>`.
//
// At the width of a phone and of a desk, light and dark, folded parts open: nothing that axe-core complains of, no message
// in the console, no request, nothing wider than the window. On paper, the text is dark and folded parts are there too.
// A picture of each stays beside the page.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { start } from "./browser.mjs";

const folder = resolve(process.argv[2]);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const widths = [360, 1280];
const schemes = ["light", "dark"];

const browser = await start();

function onPaper() { // runs in the page
  const said = [];
  const color = getComputedStyle(document.body).color;
  if (Math.max(...color.match(/\d+/g)) > 100) said.push(`on paper the text is ${color}`);
  const parts = [...document.querySelectorAll("details > div")];
  if (!parts.every((part) => part.checkVisibility({ contentVisibilityAuto: true }))) said.push("a part is not on paper");
  return said;
}

async function complaints(file, width, colorScheme) {
  const found = [];
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const address = pathToFileURL(join(folder, file)).href;
  page.on("console", (message) => found.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => found.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { found.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (request.url() !== address && request.url() !== "data:,") found.push(`request: ${request.url()}`);
  });
  await page.goto(address);
  if ((await page.title()).includes("broken out") && !(await page.title()).includes("<")) found.push("a script ran");
  await page.screenshot({ path: join(folder, `${file.replace(".html", "")}-${width}-${colorScheme}.png`), fullPage: true });
  await page.emulateMedia({ media: "print", colorScheme });
  found.push(...await page.evaluate(onPaper));
  await page.emulateMedia({ media: "screen", colorScheme });
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) found.push(`the page is ${over} px wider than the window`);
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  for (const violation of result.violations) {
    const [first] = violation.nodes;
    found.push(`axe: ${violation.id}, ${violation.nodes.length} times: ${violation.help}: ${first.html.slice(0, 200)} `
      + `(${first.failureSummary.split("\n").slice(1).join(" ").slice(0, 300)})`);
  }
  await context.close();
  return found;
}

let looked = 0;
let bad = 0;
try {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".html")).sort()) {
    for (const width of widths) {
      for (const scheme of schemes) {
        const found = await complaints(file, width, scheme);
        looked += 1;
        bad += found.length > 0 ? 1 : 0;
        for (const one of found) console.error(`✗ ${file} at ${width} px, ${scheme}: ${one}`);
      }
    }
  }
} finally {
  await browser.close();
}
if (looked === 0) throw new Error(`${folder} has no pages`);
if (bad > 0) process.exit(1);
console.log(`✓ ${looked} looks at the pages in ${folder}: nothing to complain of`);
