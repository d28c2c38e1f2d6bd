/* Uses built pages as a reader does, by mouse, keyboard and finger; prints what came of it, as JSON.

   node use.mjs CHROMIUM ADDRESS

   One key a use; `errors` holds what the console, the pages and the server said on the way. */
import * as screens from "./browser.mjs";

const [executablePath, address] = process.argv.slice(2);
const browser = await screens.launch(executablePath);
const DESKTOP = { viewport: screens.DESKTOP };
const PHONE = { viewport: screens.PHONE, hasTouch: true };
const errors = [];

/* A new reader opens a page. */
async function open(path, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(120000); // the machine may be busy
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(`${path}: ${error}`));
  page.on("console", (message) => message.type() === "error" && errors.push(`${path}: ${message.text()}`));
  page.on("response", (it) => it.status() >= 400 && errors.push(`${path}: ${it.status()} ${it.url()}`));
  await go(page, path);
  return page;
}

async function go(page, path) {
  await page.goto(`${address}/${path}`);
  await page.evaluate(() => window.MathJax?.startup?.promise);
}

/* Waits until asking gives another answer than `before`, and gives it; after a while, the same. */
async function change(page, ask, before) {
  for (const end = Date.now() + 10000; Date.now() < end; await page.waitForTimeout(20)) {
    const now = await ask();
    if (now !== before) return now;
  }
  return before;
}

function inSight() {
  const { left, top, width, height } = document.activeElement.getBoundingClientRect();
  return left >= 0 && top >= 0 && width > 40 && height > 10;
}

const USES = {
  async search() {
    const page = await open("00-setup.html", DESKTOP);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("negative sampling");
    await page.keyboard.press("Enter");
    await page.waitForURL(/search\.html\?q=/);
    const links = page.locator("#search-results li a");
    await links.first().waitFor();
    // The summary says how many there are once the search is done.
    await page.locator("#search-results .search-summary", { hasText: /\d/ }).waitFor();
    const found = await links.evaluateAll((them) => them.map((it) => it.getAttribute("href")));
    await links.nth(found.findIndex((href) => href.includes("04-word2vec"))).click();
    await page.waitForURL(/04-word2vec\.html/);
    return { found, opened: await page.locator("h1").first().textContent() };
  },

  async theme() {
    const page = await open("notation.html", { ...DESKTOP, colorScheme: "dark" });
    const shown = () =>
      page.evaluate(() => {
        const { mode, theme } = document.documentElement.dataset;
        return { mode, theme, ground: getComputedStyle(document.body).backgroundColor };
      });
    const seen = [await shown()];
    for (let press = 0; press < 3; press++) {
      await page.locator(".theme-switch-button:visible").first().click();
      seen.push(await shown());
      await go(page, press % 2 ? "notation.html" : "errata.html");
      seen.push(await shown());
    }
    return seen;
  },

  async widget() {
    const page = await open("04-word2vec.html", DESKTOP);
    const figure = page.locator(".jupyter-widgets.widget-vbox:has(.noUi-handle)").first();
    const handle = figure.locator(".noUi-handle").first();
    const shown = () =>
      figure.locator("img").evaluateAll((images) => images.find((image) => image.offsetParent)?.alt);
    await handle.scrollIntoViewIfNeeded();
    const seen = [await shown()];
    const from = await handle.boundingBox();
    const track = await figure.locator(".noUi-base").first().boundingBox();
    const middle = from.y + from.height / 2;
    await page.mouse.move(from.x + from.width / 2, middle);
    await page.mouse.down();
    await page.mouse.move(track.x + track.width / 2, middle, { steps: 5 });
    await page.mouse.move(track.x + track.width - 1, middle, { steps: 5 });
    await page.mouse.up();
    seen.push(await change(page, shown, seen.at(-1)));
    await handle.focus();
    for (const key of ["Home", "ArrowRight", "ArrowLeft"]) {
      await page.keyboard.press(key);
      seen.push(await change(page, shown, seen.at(-1)));
    }
    const said = await handle.evaluate((it) => [it.getAttribute("aria-label"), it.getAttribute("aria-valuetext")]);
    return { seen, said };
  },

  async formulas() {
    const page = await open("04-word2vec.html", DESKTOP);
    return page.evaluate(() => ({
      set: document.querySelectorAll("mjx-container").length,
      spoken: document.querySelectorAll("mjx-container > mjx-assistive-mml > math").length,
      // Boxes of glyphs are drawn, and kept from screen readers.
      hidden: document.querySelectorAll('mjx-container > mjx-math[aria-hidden="true"]').length,
      // The Tab key stops at none that has room.
      stops: document.querySelectorAll("span.math mjx-container[tabindex='0']").length,
      high: document.querySelector("mjx-container").getBoundingClientRect().height,
    }));
  },

  async answers() {
    const page = await open("04-word2vec.html", DESKTOP);
    const quiz = [];
    for (const choice of await page.locator(".quiz li").first().locator("details").all()) {
      await choice.locator("summary").focus();
      await page.keyboard.press("Enter");
      quiz.push(await choice.locator("p").innerText());
    }
    const solution = page.locator(".solution.dropdown").first();
    const button = solution.locator("button.toggle-button");
    const state = async () => ({
      shown: await solution.locator("#solution-content").first().isVisible(),
      expanded: await button.getAttribute("aria-expanded"),
    });
    const states = [await state()];
    await button.focus();
    await page.keyboard.press("Enter");
    states.push(await state());
    await solution.locator(".admonition-title").click();
    states.push(await state());
    const code = page.locator("details.hide").first();
    await code.locator("summary").click();
    return { quiz, states, code: await code.locator("pre").first().isVisible() };
  },

  async copy() {
    const page = await open("00-setup.html", { ...DESKTOP, permissions: ["clipboard-read", "clipboard-write"] });
    const block = page.locator("div.highlight:has(button.copybtn):visible").first();
    const code = await block.locator("pre").innerText();
    await block.locator("button.copybtn").focus();
    await page.keyboard.press("Enter");
    const copied = await change(page, () => page.evaluate(() => navigator.clipboard.readText()), "");
    return { code, copied };
  },

  async colab() {
    const page = await open("04-word2vec.html", DESKTOP);
    await page.locator(".dropdown-launch-buttons button").focus();
    await page.keyboard.press("Enter");
    const link = page.locator(".dropdown-launch-buttons a", { hasText: "Colab" });
    await link.waitFor();
    return link.getAttribute("href");
  },

  async sidebar() {
    const page = await open("04-word2vec.html", PHONE);
    const state = () =>
      page.evaluate(() => ({
        open: document.getElementById("pst-primary-sidebar-modal").open,
        inside: !!document.activeElement.closest("#pst-primary-sidebar-modal"),
      }));
    const states = [await state()];
    const button = page.locator("button.primary-toggle");
    await button.focus();
    await page.keyboard.press("Enter");
    await page.locator("#pst-primary-sidebar-modal[open]").waitFor();
    await page.keyboard.press("Tab");
    states.push(await state());
    await page.keyboard.press("Escape");
    await page.locator("#pst-primary-sidebar-modal:not([open])").waitFor({ state: "attached" });
    states.push(await state());
    await button.tap();
    await page.locator("#pst-primary-sidebar-modal a", { hasText: "Glossary" }).click();
    await page.waitForURL(/glossary\.html/);
    return { states, followed: await page.locator("h1").first().textContent() };
  },

  async skip() {
    const page = await open("04-word2vec.html", DESKTOP);
    await page.keyboard.press("Tab");
    const text = await page.evaluate(() => document.activeElement.textContent);
    // It slides in.
    const shown = await change(page, () => page.evaluate(inSight), false);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    return { text, shown, inside: await page.evaluate(() => !!document.activeElement.closest("main")) };
  },

  /* The Tab key from the top of two pages to their end: what it meets, and what it does not. */
  async tab() {
    const walks = {};
    for (const path of ["index.html", "00-setup.html"]) {
      const page = await open(path, { ...DESKTOP, reducedMotion: "reduce" });
      const all = await page.evaluate(() => {
        const them = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
        window.unmet = new Set(them.filter((it) => it.checkVisibility({ visibilityProperty: true }) && !it.disabled));
        return window.unmet.size;
      });
      let bare = [];
      // Ends where it began, outside of the page.
      for (let press = 0; press < 2 * all; press++) {
        await page.keyboard.press("Tab");
        const met = await page.evaluate(() => {
          const it = document.activeElement;
          window.unmet.delete(it);
          if (it === document.body) return null;
          const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(it);
          const ring = (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || boxShadow !== "none";
          return { ring, seen: it.checkVisibility({ opacityProperty: true }), what: it.outerHTML.slice(0, 150) };
        });
        if (!met) break;
        if (!met.ring || !met.seen) bare.push(met.what);
      }
      const unmet = await page.evaluate(() => [...window.unmet].map((it) => it.outerHTML.slice(0, 150)));
      walks[path] = { all, unmet, bare };
    }
    return walks;
  },

  /* Letters twice as large, as a browser's setting makes them (WCAG 2.2, 1.4.4). */
  async large() {
    const page = await open("search.html", DESKTOP);
    const pages = {};
    for (const path of ["00-setup.html", "04-word2vec.html", "glossary.html", "term-index.html", "cheat-sheet.html", "instructors/grade.html"]) {
      await go(page, path);
      pages[path] = await page.evaluate(async () => {
        document.documentElement.style.fontSize = "200%";
        await new Promise((done) => setTimeout(done, 400));
        const cut = [...document.querySelectorAll(".bd-main *")].filter((it) => {
          const { overflowX, overflowY } = getComputedStyle(it);
          if (!it.textContent.trim() || !it.checkVisibility({ visibilityProperty: true })) return false;
          // Formulas keep what is read aloud in a box of no size, folds what is not yet asked for.
          if (it.closest(".math, .toggle-hidden")) return false;
          return (
            (/hidden|clip/.test(overflowX) && it.scrollWidth > it.clientWidth + 1) ||
            (/hidden|clip/.test(overflowY) && it.scrollHeight > it.clientHeight + 4)
          );
        });
        return {
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          cut: cut.map((it) => it.outerHTML.slice(0, 150)),
        };
      });
    }
    return pages;
  },

  /* Who asks for no motion: what moves nevertheless, at rest and when the theme changes. */
  async still() {
    const page = await open("index.html", { ...DESKTOP, reducedMotion: "reduce" });
    const pages = {};
    for (const path of ["index.html", "04-word2vec.html", "search.html"]) {
      await go(page, path);
      pages[path] = await page.evaluate(() => {
        const moves = [...document.querySelectorAll("*")].filter((it) => {
          const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(it);
          return animationName !== "none" || /[1-9]/.test(transitionDuration) || scrollBehavior === "smooth";
        });
        document.documentElement.dataset.theme = "dark";
        return [...moves.map((it) => it.outerHTML.slice(0, 100)), ...document.getAnimations().map((it) => it.constructor.name)];
      });
    }
    return pages;
  },

  async rightToLeft() {
    const page = await open("glossary.html", DESKTOP);
    return page.locator('[lang="fa"], [lang="he"]').evaluateAll((cells) =>
      cells
        .filter((cell) => cell.textContent.trim())
        .map((cell) => {
          const { direction, textAlign } = getComputedStyle(cell);
          const range = document.createRange();
          range.selectNodeContents(cell);
          const [text, box] = [range, cell].map((it) => it.getBoundingClientRect());
          const inner = cell.matches("td, th") ? box.right - text.right : 0;
          return { text: cell.textContent, lang: cell.lang, dir: cell.dir, direction, textAlign, inner };
        }),
    );
  },
};

const results = { errors };
for (const [name, use] of Object.entries(USES)) {
  // A use that gets stuck keeps nobody from the next one.
  results[name] = await use().catch((error) => errors.push(`${name}: ${error}`) && null);
  for (const context of browser.contexts()) await context.close();
}
await browser.close();
console.log(JSON.stringify(results));
