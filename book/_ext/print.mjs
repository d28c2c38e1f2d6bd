/* Prints built pages by headless Chromium, each to a PDF of its own, numbered on from the last.

   node print.mjs CHROMIUM < jobs

   The jobs, as JSON: `style`, of the page numbers, and `pages`, each with its `source` (the HTML file),
   `target` (the PDF), and `head` (what stands above its pages). Prints a report of each page, as JSON. */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { launch } from "./chromium.mjs";

const { style, pages } = JSON.parse(readFileSync(0, "utf8"));
const PATIENCE = 180000; // ms; the machine may be busy
const DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
const WIDTH = 642; // px; of the text on an A4 page, by print.css's margins

const browser = await launch(process.argv[2]);
const reports = [];
let printed = 0;
let coming = open(pages[0]);
for (const [place, job] of pages.entries()) {
  const { page, errors } = await coming;
  // While this page is printed, the next one sets its formulas.
  coming = place + 1 < pages.length && open(pages[place + 1]);
  await page.addStyleTag({ content: furniture(job.head, printed) });
  const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true, tagged: true });
  writeFileSync(job.target, pdf);
  const count = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
  printed += count;
  reports.push({ pages: count, errors, ...(await page.evaluate(inspect, WIDTH)) });
  await page.context().close();
}
await browser.close();
console.log(JSON.stringify(reports));

/* A page, ready to be printed. */
async function open(job) {
  const context = await browser.newContext({
    viewport: { width: WIDTH, height: 970 },
    colorScheme: "light",
    offline: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.emulateMedia({ media: "print" });
  await page.goto(pathToFileURL(job.source).href, { waitUntil: "load" });
  const views = await page.locator('script[type="application/vnd.jupyter.widget-view+json"]').count();
  const figures = page.locator(".jupyter-widgets.widget-vbox:not(.jupyter-widgets .jupyter-widgets)");
  if (views) await figures.nth(views - 1).waitFor();
  await page.evaluate(settle, DOT);
  await page.evaluate(fit);
  return { page, errors };
}

/* What stands around the text: the chapter above it, but not above its title, and the page's number. */
function furniture(head, before) {
  const small = "color: #444; font-family: sans-serif; font-size: 8pt;";
  return `html { counter-reset: page ${before}; }
    @page { @top-right { content: ${JSON.stringify(head)}; ${small} }
            @bottom-center { content: counter(page, ${style}); ${small} } }
    @page :first { @top-right { content: none } }`;
}

/* Wait until formulas, pictures and letters are there; name formulas, and places to link to. */
async function settle(dot) {
  await window.MathJax?.startup?.promise;
  for (const details of document.querySelectorAll("details:not(.hide)")) details.open = true;
  for (const image of document.images) image.loading = "eager";
  // A picture that is broken is reported below.
  await Promise.allSettled([...document.images].map((image) => image.decode()));
  await document.fonts.ready;
  // A formula's signs are drawn without text. A clear dot beside them says its LaTeX to those who listen.
  for (const { math, typesetRoot } of window.MathJax?.startup?.document?.math ?? []) {
    typesetRoot.append(Object.assign(new Image(1, 1), { alt: math, src: dot, className: "formula" }));
  }
  // The PDF knows only places that a link of its own page leads to; other pages link here too.
  const places = document.createElement("div");
  places.hidden = true;
  for (const element of document.querySelectorAll("main [id]:not(mjx-container *)")) {
    places.append(Object.assign(document.createElement("a"), { href: `#${element.id}` }));
  }
  document.body.append(places);
}

/* Make formulas and tables that are wider than the page as small as they must be. */
function fit() {
  for (const formula of document.querySelectorAll("div.math mjx-container")) {
    const share = formula.clientWidth / formula.scrollWidth;
    if (share < 1) formula.style.fontSize = `${Math.floor(share * parseFloat(getComputedStyle(formula).fontSize) * 10) / 10}px`;
  }
  for (const table of document.querySelectorAll("main table")) {
    const share = table.parentElement.clientWidth / table.offsetWidth;
    if (share < 1) table.style.zoom = share;
  }
  // Code stays whole, but not where that would leave most of a page empty.
  for (const code of document.querySelectorAll('main :is([class*="highlight-"], .cell_input, .output)')) {
    if (code.offsetHeight > 450 && !code.querySelector("img")) code.style.breakInside = "auto";
  }
}

/* What would be wrong on paper. */
function inspect(width) {
  const shown = (element) => element.getClientRects().length > 0;
  const formulas = [...document.querySelectorAll("main .math")];
  return {
    formulas: formulas.filter(shown).length,
    unset: formulas.filter((it) => !it.querySelector("mjx-container")).map((it) => it.textContent),
    broken: [...document.images].filter((it) => shown(it) && !it.naturalWidth).map((it) => it.src),
    closed: document.querySelectorAll("details:not(.hide, [open])").length,
    wide: [...document.querySelectorAll("main :is(p, li, pre, img, td, mjx-math, div.math, figcaption)")]
      .filter((it) => shown(it) && it.getBoundingClientRect().right > width + 1)
      .map((it) => `${Math.round(it.getBoundingClientRect().right)} px: ${it.tagName} ${it.textContent.slice(0, 60)}`),
    small: [...document.querySelectorAll("div.math mjx-container")]
      .filter((it) => parseFloat(getComputedStyle(it).fontSize) < 8)
      .map((it) => `${getComputedStyle(it).fontSize}: ${it.querySelector(".formula").alt.slice(0, 60)}`),
  };
}
