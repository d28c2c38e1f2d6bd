/* Opens built pages from their files, with no network and no server, and prints what it found, as JSON.

   node visit_files.mjs CHROMIUM FOLDER QUERY PAGE... */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";

const [executablePath, folder, query, ...names] = process.argv.slice(2);
const address = (name) => pathToFileURL(join(folder, name)).href;

const browser = await launch(executablePath);
const context = await browser.newContext({ offline: true, colorScheme: "dark" });
const page = await context.newPage();
page.setDefaultTimeout(120000); // the machine may be busy
let errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("requestfailed", (request) => {
  const { errorText } = request.failure();
  // Given up because the page was left.
  if (errorText !== "net::ERR_ABORTED") errors.push(`${errorText} ${request.url()}`);
});

const visits = [];
for (const name of names) visits.push(await visit(name));
const found = await search();
await browser.close();
console.log(JSON.stringify({ visits, found }));

async function visit(name) {
  errors = [];
  await page.goto(address(name), { waitUntil: "load" });
  await page.evaluate(async () => {
    await window.MathJax?.startup?.promise;
    for (const image of document.images) image.loading = "eager";
    await Promise.allSettled([...document.images].map((image) => image.decode()));
    await document.fonts.ready;
  });
  const views = await page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count();
  const figures = page.locator(".jupyter-widgets.widget-vbox:not(.jupyter-widgets .jupyter-widgets)");
  if (views) await figures.nth(views - 1).waitFor();
  const seen = await page.evaluate(() => ({
    theme: document.documentElement.dataset.theme,
    styled: getComputedStyle(document.querySelector(".bd-article-container")).display !== "inline"
      && [...document.styleSheets].every((sheet) => sheet.ownerNode.sheet !== null),
    unset: [...document.querySelectorAll(".math")].filter((it) => !it.querySelector("mjx-container")).length,
    broken: [...document.images].filter((it) => it.getClientRects().length && !it.naturalWidth).map((it) => it.src),
    fonts: [...document.fonts].filter((font) => font.status === "error").map((font) => font.family),
  }));
  let moved = null;
  if (views) {
    const shown = () => figures.first().locator("img").evaluateAll((images) => images.find((it) => it.offsetParent)?.alt);
    const before = await shown();
    const handle = figures.first().locator(".noUi-handle, select").first();
    await handle.scrollIntoViewIfNeeded();
    await handle.focus();
    await page.keyboard.press((await handle.evaluate((it) => it.tagName)) === "SELECT" ? "ArrowDown" : "ArrowRight");
    await page.waitForTimeout(300);
    moved = (await shown()) !== before;
  }
  const next = page.locator(".prev-next-footer a.right-next");
  let followed = null;
  if (await next.count()) {
    const wanted = await next.evaluate((link) => link.href);
    await next.click();
    await page.waitForURL(wanted);
    followed = await page.locator("h1").first().innerText();
  }
  return { page: name, errors, views, moved, followed, ...seen };
}

async function search() {
  errors = [];
  await page.goto(`${address("search.html")}?q=${query}`, { waitUntil: "load" });
  await page.locator("#search-results .search-summary, #search-results li").first().waitFor();
  await page.waitForTimeout(2000);
  const results = await page.locator("#search-results li a").evaluateAll((links) => links.map((link) => link.href));
  const text = await page.locator("#search-results").innerText();
  return { results: results.slice(0, 30), text: text.slice(0, 600), errors };
}
