/* Opens built pages in headless Chromium and prints what it found, as JSON.

   node visit.mjs CHROMIUM ADDRESS SCREENSHOTS PAGE...

   SCREENSHOTS is a folder for pictures of the pages, or "" for none.
   Other hosts than 127.0.0.1 are not found; what is asked of them is listed. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { audit } from "./audit.mjs";
import { addLooks, DESKTOP, launch, PHONE } from "./browser.mjs";

const [executablePath, address, screenshots, ...pages] = process.argv.slice(2);
const modules = createRequire(new URL("../../book/_ext/package.json", import.meta.url));
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

// One visit serves all screens: opening a page, most of all setting its formulas, is what takes time.
const SCREENS = [
  { name: "desktop", ...DESKTOP, theme: "light" },
  { name: "desktop-dark", ...DESKTOP, theme: "dark" },
  { name: "phone-dark", ...PHONE, theme: "dark" },
  { name: "phone", ...PHONE, theme: "light" },
];
// The narrowest screen that pages must fit (WCAG 2.2, 1.4.10).
const NARROWEST = { ...PHONE, width: 320 };

const browser = await launch(executablePath);
// Pages share what they load: it is fetched and compiled once.
const context = await browser.newContext({ viewport: null });
const reports = [];
let next = 0;
// Two at a time: while one waits, the other is looked at.
await Promise.all(
  [0, 1].map(async () => {
    while (next < pages.length) {
      const place = next++;
      reports[place] = await visit(pages[place]);
    }
  }),
);
await browser.close();
console.log(JSON.stringify(reports.flat()));

/* What there is to report of a page on each screen. */
async function visit(path) {
  const page = await context.newPage();
  page.setDefaultTimeout(120000); // the machine may be busy
  let [external, errors] = [[], []];
  const loaded = new Set();
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!url.protocol.startsWith("http")) return;
    if (url.hostname === "127.0.0.1") loaded.add(decodeURIComponent(url.pathname.slice(1)));
    else external.push(url.href);
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  page.on("response", (response) => {
    if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
  });
  /* Follow the system's theme, as a page does whose reader chose none. */
  const theme = async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, colorScheme);
  };
  const found = [];
  for (const [turn, screen] of SCREENS.entries()) {
    await page.setViewportSize({ width: screen.width, height: screen.height });
    if (turn === 0) {
      await page.emulateMedia({ colorScheme: screen.theme });
      await page.goto(`${address}/${path}`, { waitUntil: "load" });
      await page.evaluate(addLooks);
    }
    await theme(screen.theme);
    const views = await page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count();
    const figures = page.locator(".jupyter-widgets.widget-vbox:not(.jupyter-widgets .jupyter-widgets)");
    if (views) await figures.nth(views - 1).waitFor();
    await page.evaluate(settle);
    const report = { page: path, screen: screen.name, views, ...(await page.evaluate(inspect)) };
    // The scripts that look for what scrolls do so a while after a change.
    for (const end = Date.now() + 5000; ; await page.waitForTimeout(100)) {
      report.stuck = await page.evaluate(stuck);
      if (!report.stuck.length || Date.now() > end) break;
    }
    if (screenshots) {
      await page.screenshot({ path: join(screenshots, `${path}-${screen.name}.png`), fullPage: true });
    }
    report.moved = [];
    for (let index = 0; index < (await figures.count()); index++) {
      report.moved.push(...(await move(page, figures.nth(index), turn)));
    }
    found.push({ ...report, external, errors });
    [external, errors] = [[], []];
  }
  // Rings are drawn for who uses the keyboard; and at once.
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.keyboard.press("Tab");
  Object.assign(found[0], await page.evaluate(press));
  await page.setViewportSize(NARROWEST);
  found[0].narrow = await page.evaluate(overflow);
  found[0].loaded = [...loaded];
  await page.setViewportSize(SCREENS[0]);
  found[0].axe = await audit(page, axe, theme);
  // What went wrong since the last report was made.
  found.at(-1).errors.push(...errors);
  found.at(-1).external.push(...external);
  await page.close();
  return found;
}

/* Formulas are set, and pictures in sight are there. */
async function settle() {
  await window.MathJax?.startup?.promise;
  for (const image of document.images) image.loading = "eager";
  const shown = [...document.images].filter((image) => image.getClientRects().length);
  await Promise.all(shown.map((image) => image.decode().catch(() => "reported as broken")));
}

/* What can be pressed but not reached by the Tab key, or does not show that it is reached; of things
   that look alike, one is tried. */
function press() {
  const unreached = [];
  const ringless = [];
  const tried = new Set();
  document.activeElement.blur();
  for (const it of document.querySelectorAll("a[href], button, input, select, summary, [role='button'], [role='slider'], [tabindex='0']")) {
    if (it.disabled || !it.checkVisibility({ visibilityProperty: true })) continue;
    if (it.tabIndex < 0) unreached.push(it.outerHTML.slice(0, 200));
    const kind = [it, it.parentElement, it.closest("nav, article, footer, dialog")].map((it) => it && `${it.tagName} ${it.className}`).join();
    if (tried.has(kind)) continue;
    tried.add(kind);
    const bare = getComputedStyle(it).boxShadow;
    it.focus({ preventScroll: true });
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(it);
    const ring = (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== bare;
    if (!ring || !it.checkVisibility({ opacityProperty: true })) ringless.push(it.outerHTML.slice(0, 200));
    it.blur();
  }
  return { unreached, ringless };
}

/* What scrolls aside by mouse, and not by keyboard: is not reached itself, and holds nothing that is. */
function stuck() {
  const reached = "a[href], button, input, select, summary, [tabindex='0']";
  const found = [...document.querySelectorAll(".bd-main *:not(mjx-math *, pre *)")].filter(
    (it) =>
      it.scrollWidth > it.clientWidth + 1 &&
      it.clientWidth > 0 &&
      /auto|scroll/.test(getComputedStyle(it).overflowX) &&
      !it.matches(reached) &&
      !it.querySelector(reached),
  );
  return found.map((it) => it.outerHTML.slice(0, 200));
}

function overflow() {
  return document.documentElement.scrollWidth - document.documentElement.clientWidth;
}

/* Move each control of a figure by keyboard, up on even turns and down on odd ones; say what its
   picture was before and after. */
async function move(page, figure, turn) {
  const shown = () =>
    figure.locator("img").evaluateAll((images) => images.find((image) => image.offsetParent)?.alt);
  const moves = [];
  for (const handle of await figure.locator(".noUi-handle, select").all()) {
    const before = await shown();
    await handle.focus();
    const keys = (await handle.evaluate((it) => it.tagName)) === "SELECT" ? ["ArrowDown", "ArrowUp"] : ["ArrowRight", "ArrowLeft"];
    await page.keyboard.press(keys[turn % 2]);
    let after = await shown();
    for (const end = Date.now() + 5000; after === before && Date.now() < end; after = await shown()) {
      await page.waitForTimeout(20);
    }
    moves.push({
      before,
      after,
      label: await handle.evaluate((it) => it.getAttribute("aria-label") ?? it.labels?.[0]?.textContent ?? ""),
      decoded: await figure.locator("img").evaluateAll(async (images) => {
        const seen = images.filter((image) => image.offsetParent);
        await Promise.all(seen.map((image) => image.decode().catch(() => "naturalWidth is 0")));
        return seen.every((image) => image.naturalWidth > 0);
      }),
    });
  }
  return moves;
}

function inspect() {
  const visible = (element) => element.getClientRects().length > 0;
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
    .filter((element) => visible(element) && element.textContent.trim() && looks.contrast(element) < 4.5)
    .map((element) => `${looks.contrast(element).toFixed(1)} ${element.textContent.trim().slice(0, 60)}`);
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
