/* Uses the cards of terms, the index and the table of translations in headless Chromium, and
   prints what happened, as JSON.

   node visit_terms.mjs CHROMIUM ADDRESS PAGE */
import * as screens from "./browser.mjs";

const [executablePath, address, chapter] = process.argv.slice(2);

const browser = await screens.launch(executablePath);
const DESKTOP = { viewport: screens.DESKTOP };
const PHONE = { viewport: screens.PHONE, hasTouch: true, isMobile: true };
// On each page one use after the other, for a page takes longer to open than to be used.
const report = {
  ...(await on(DESKTOP, chapter, { keyboard, mouse })),
  ...(await on(PHONE, chapter, { cards, motion, touch })),
  ...(await on(PHONE, "glossary.html", { translations })),
  ...(await on(PHONE, "term-index.html", { index })),
};
await browser.close();
console.log(JSON.stringify(report));

async function on(screen, path, uses) {
  const context = await browser.newContext(screen);
  const page = await context.newPage();
  page.setDefaultTimeout(60000); // the machine may be busy
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${address}/${path}`, { waitUntil: "load" });
  await page.evaluate(() => window.MathJax?.startup?.promise);
  const found = {};
  for (const [name, use] of Object.entries(uses)) found[name] = await use(page);
  await context.close();
  return { ...found, [`errors of ${path}`]: errors };
}

/* The first and the second term of a page, and the card that is shown, if one is. */
function parts(page) {
  const link = (place) => page.locator("a:has(> .term-first)").nth(place);
  return { first: link(0), second: link(1), card: page.locator(".tippy-box") };
}

async function mouse(page) {
  const { first, second, card } = parts(page);
  await page.evaluate(() => document.activeElement.blur());
  await card.waitFor({ state: "detached" });
  await first.hover();
  await card.waitFor();
  const text = await card.innerText();
  // From the term to the card, in steps, as a hand does; and wait longer than the card would stay.
  const box = await card.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 5 });
  await page.waitForTimeout(500);
  const stays = await card.count();
  await page.keyboard.press("Escape");
  await card.waitFor({ state: "detached" });
  await page.mouse.move(0, 0);
  await second.hover();
  await card.waitFor();
  await page.mouse.move(0, 0, { steps: 5 });
  await card.waitFor({ state: "detached" });
  await first.click();
  await page.waitForURL("**/glossary.html#*");
  const target = await page.evaluate(() => document.getElementById(location.hash.slice(1))?.innerText);
  return { text, stays, target };
}

async function keyboard(page) {
  const { card } = parts(page);
  // One with another link behind it, which the Tab key is to reach after the card.
  const first = page.locator("a:has(> .term-first):has(~ a)").first();
  const focused = () => page.evaluate(() => document.activeElement.outerHTML);
  const own = await first.evaluate((it) => it.outerHTML);
  const described = await first.evaluate(
    (it) => document.getElementById(it.getAttribute("aria-describedby")).textContent,
  );
  const enter = async () => {
    await page.evaluate(() => document.activeElement.blur());
    await first.focus();
    await card.waitFor();
  };
  await enter();
  await page.keyboard.press("Escape");
  await card.waitFor({ state: "detached" });
  const afterEscape = (await focused()) === own;
  await enter();
  const text = await card.innerText();
  await page.keyboard.press("Tab");
  const inside = await page.evaluate(() => document.activeElement.closest(".tippy-box") !== null);
  const still = await card.count();
  await page.keyboard.press("Escape");
  await card.waitFor({ state: "detached" });
  const back = (await focused()) === own;
  // Through the card and out of it: it closes behind the focus.
  await enter();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const out = await page.evaluate(() => document.activeElement.closest(".tippy-box") === null);
  await page.waitForFunction((link) => !link._tippy.state.isVisible, await first.elementHandle());
  return { described, text, afterEscape, inside, still, back, out };
}

async function touch(page) {
  const { first, card } = parts(page);
  const before = page.url();
  await first.tap();
  await card.waitFor();
  const here = page.url() === before;
  await page.locator(".chapter-box dt").first().tap();
  await card.waitFor({ state: "detached" });
  await first.tap();
  await card.locator("a").tap();
  await page.waitForURL("**/glossary.html#*");
  return { here };
}

/* Every card of the page, in both themes. */
async function cards(page) {
  await page.evaluate(screens.addLooks);
  return page.evaluate(lookAtAll, `(${look})`);
}

async function lookAtAll(source) {
  const look = eval(source);
  const frame = () => new Promise(requestAnimationFrame);
  const cards = [];
  for (const theme of ["light", "dark"]) {
    document.documentElement.dataset.theme = theme;
    for (const name of document.querySelectorAll(".term-first")) {
      const link = name.closest("a");
      link.scrollIntoView({ block: "center", behavior: "instant" });
      link._tippy.show();
      await frame(); // it is put into the page
      await frame(); // and to its place
      cards.push({ theme, ...look(link._tippy.popper.firstChild) });
      link._tippy.hide();
    }
  }
  return cards;
}

/* What a reader would see of a card that is shown. */
function look(card) {
  const { left, right, top, bottom } = card.getBoundingClientRect();
  const formulas = [...card.querySelectorAll(".math")];
  return {
    text: card.innerText,
    inside: left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight,
    cut: card.scrollWidth > card.clientWidth,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    contrast: Math.min(...[...card.querySelectorAll("p, a")].map((it) => looks.contrast(it))),
    ground: looks.luminance(looks.ground(card)),
    formulas: formulas.length,
    unset: formulas.filter((it) => !it.querySelector("mjx-container")?.getClientRects()[0].width).length,
    stops: card.querySelectorAll("[tabindex]").length,
  };
}

/* How many parts of the page would move, by themselves or in answer, with each preference. */
async function motion(page) {
  const found = {};
  for (const reducedMotion of ["no-preference", "reduce"]) {
    await page.emulateMedia({ reducedMotion });
    found[reducedMotion] = await page.evaluate(moving);
  }
  return found;
}

function moving() {
  const moves = (style) =>
    style.transitionDuration.split(", ").some((time) => parseFloat(time) > 0) ||
    style.animationName !== "none" ||
    style.scrollBehavior === "smooth";
  const parts = [...document.querySelectorAll("*")].flatMap((it) =>
    [null, "::before", "::after"].map((part) => getComputedStyle(it, part)),
  );
  return parts.filter(moves).length;
}

async function translations(page) {
  return page.evaluate(() => {
    const cells = [...document.querySelectorAll(".term-translations [lang]")];
    return {
      cells: cells.length,
      wrong: cells
        .filter((it) => getComputedStyle(it).direction !== "rtl" || getComputedStyle(it).textAlign !== "right")
        .map((it) => it.textContent),
      narrow: cells.filter((it) => it.textContent.trim() && it.clientWidth < 60).map((it) => it.textContent),
      // The frame around a table scrolls, not the table.
      scrolls: [...document.querySelectorAll(".term-translations, :has(> .term-translations)")]
        .map((it) => it.scrollWidth - it.clientWidth)
        .reduce((one, other) => Math.max(one, other)),
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    };
  });
}

async function index(page) {
  await page.locator(".term-letters a", { hasText: "S" }).click();
  await page.waitForURL("**#letter-s");
  const found = await page.evaluate(() => ({
    top: document.getElementById("letter-s").getBoundingClientRect().top,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }));
  await page.locator("#letter-s dd a").first().click();
  await page.waitForURL("**#use-*");
  const use = await page.evaluate(() => {
    const paragraph = document.getElementById(location.hash.slice(1));
    return { tag: paragraph.tagName, terms: paragraph.querySelectorAll(".term-first").length };
  });
  return { ...found, use };
}
