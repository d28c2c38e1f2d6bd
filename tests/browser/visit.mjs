/* Opens built pages in headless Chromium and prints what it found, as JSON.

   node visit.mjs MODULES CHROMIUM ADDRESS SCREENSHOTS PAGE...

   SCREENSHOTS is a folder for pictures of the pages, or "" for none.
   Requests to any other host than 127.0.0.1 are refused and listed. */
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, executablePath, address, screenshots, ...pages] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "package.json"))("playwright-core");

const SCREENS = [
  { name: "desktop", width: 1280, height: 900, theme: "light" },
  { name: "desktop-dark", width: 1280, height: 900, theme: "dark" },
  { name: "phone", width: 390, height: 844, theme: "light" },
  { name: "phone-dark", width: 390, height: 844, theme: "dark" },
];

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const visits = pages.flatMap((page) => SCREENS.map((screen) => ({ page, screen })));
const reports = [];
let next = 0;
// Two at a time: while one waits, the other is looked at.
await Promise.all(
  [0, 1].map(async () => {
    while (next < visits.length) {
      const place = next++;
      reports[place] = await visit(visits[place].page, visits[place].screen);
    }
  }),
);
await browser.close();
console.log(JSON.stringify(reports));

async function visit(path, screen) {
  const context = await browser.newContext({
    viewport: { width: screen.width, height: screen.height },
    colorScheme: screen.theme,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120000); // the machine may be busy
  const external = [];
  const errors = [];
  await page.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (url.protocol.startsWith("http") && url.hostname !== "127.0.0.1") {
      external.push(url.href);
      return route.abort();
    }
    return route.continue();
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(`${address}/${path}`, { waitUntil: "load" });
  await page.evaluate(async () => {
    await window.MathJax?.startup?.promise;
    for (const image of document.images) image.loading = "eager";
  });
  const views = await page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count();
  const figures = page.locator(".jupyter-widgets.widget-vbox:not(.jupyter-widgets .jupyter-widgets)");
  if (views) await figures.nth(views - 1).waitFor();
  await page.waitForTimeout(300);
  const found = await page.evaluate(inspect);
  // The whole page as it comes, before any slider is moved.
  if (screenshots) {
    await page.screenshot({ path: join(screenshots, `${path}-${screen.name}.png`), fullPage: true });
  }
  const moved = [];
  for (let index = 0; index < (await figures.count()); index++) {
    moved.push(...(await move(page, figures.nth(index))));
  }
  await context.close();
  return { page: path, screen: screen.name, external, errors, views, moved, ...found };
}

/* Move each control of a figure by keyboard; say what its picture was before and after. */
async function move(page, figure) {
  const shown = () =>
    figure.locator("img").evaluateAll((images) => images.find((image) => image.offsetParent)?.alt);
  const moves = [];
  for (const handle of await figure.locator(".noUi-handle, select").all()) {
    await handle.scrollIntoViewIfNeeded();
    const before = await shown();
    await handle.focus();
    await page.keyboard.press((await handle.evaluate((it) => it.tagName)) === "SELECT" ? "ArrowDown" : "ArrowRight");
    await page.waitForTimeout(300);
    moves.push({
      before,
      after: await shown(),
      label: await handle.evaluate((it) => it.getAttribute("aria-label") ?? it.labels?.[0]?.textContent ?? ""),
      decoded: await figure
        .locator("img")
        .evaluateAll((images) => images.filter((image) => image.offsetParent).every((image) => image.naturalWidth > 0)),
    });
  }
  return moves;
}

function inspect() {
  const visible = (element) => element.getClientRects().length > 0;
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = parse(getComputedStyle(it).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.5) return colour;
    }
    return [255, 255, 255];
  };
  const contrast = (element) => {
    const [one, two] = [parse(getComputedStyle(element).color), ground(element)].map(luminance);
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  };
  // A formula scrolls though the number beside it takes room that it could have.
  const crowds = (number, formula) => {
    const [a, b] = [number, formula].map((it) => it.getBoundingClientRect());
    return formula.scrollWidth > formula.clientWidth && a.top < b.bottom && b.top < a.bottom;
  };
  const lines = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return new Set([...range.getClientRects()].map((it) => Math.round(it.top))).size;
  };
  const words = ".bd-article p, .bd-article li, .bd-article summary, .bd-article figcaption, .bd-article td, .bd-article pre, .bd-article .widget-label, .bd-article .widget-readout";
  const faint = [...document.querySelectorAll(words)]
    .filter((element) => visible(element) && element.textContent.trim() && contrast(element) < 4.5)
    .map((element) => `${contrast(element).toFixed(1)} ${element.textContent.trim().slice(0, 60)}`);
  return {
    faint,
    formulas: document.querySelectorAll("mjx-container").length,
    unset: [...document.querySelectorAll(".math")].filter((it) => !it.querySelector("mjx-container")).length,
    wrong: document.querySelectorAll("mjx-merror, [data-mjx-error]").length,
    images: document.images.length,
    broken: [...document.images].filter((image) => visible(image) && !(image.complete && image.naturalWidth)).map((image) => image.src.slice(0, 100)),
    speechless: [...document.images].filter((image) => !image.alt.trim()).map((image) => image.src.slice(0, 100)),
    crowded: [...document.querySelectorAll("div.math:has(> .eqno)")]
      .filter((it) => visible(it) && crowds(it.querySelector(".eqno"), it.querySelector("mjx-container")))
      .map((it) => it.id),
    split: [...document.querySelectorAll(".chapter-box dt")]
      .filter((it) => lines(it) > 1)
      .map((it) => it.textContent),
    loose: [...document.querySelectorAll(".bd-article .widget-vbox")]
      .filter((it) => it.scrollWidth > it.clientWidth)
      .map((it) => `${it.scrollWidth} > ${it.clientWidth}`),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
}
