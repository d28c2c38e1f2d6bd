/* Opens pages about a class from files, offline, and prints what it found, as JSON.

   node visit_class_page.mjs PACKAGE_JSON CHROMIUM FOLDER SCREENSHOTS NAME... */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const [modules, executablePath, folder, screenshots, ...pages] = process.argv.slice(2);
const { chromium } = createRequire(modules)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const reports = [];
for (const name of pages) {
  for (const [width, height] of [[1280, 900], [390, 844]]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme, offline: true });
      const page = await context.newPage();
      page.setDefaultTimeout(120000); // the machine may be busy
      const asked = [];
      const errors = [];
      page.on("request", (request) => asked.push(request.url()));
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      page.on("dialog", (dialog) => { errors.push(dialog.message()); dialog.dismiss(); });
      await page.goto(pathToFileURL(`${folder}/${name}.html`).href);
      if (name === "small") await page.screenshot({ path: `${screenshots}/class-page-${name}-${width}-${colorScheme}.png`, fullPage: true });
      await page.evaluate(() => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
      const found = await page.evaluate(() => {
        const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
        const luminance = ([r, g, b]) => {
          const linear = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
          return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        };
        const ground = (element) => {
          for (let it = element; it; it = it.parentElement) {
            const colour = parse(getComputedStyle(it).backgroundColor);
            if (colour.length < 4 || colour[3] > 0.5) return colour;
          }
          return [255, 255, 255];
        };
        const contrast = (element, colour) => {
          const [one, two] = [parse(colour), ground(element)].map(luminance);
          return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        };
        const words = [...document.querySelectorAll("p, li, dt, dd, th, td, summary, a, caption, h1, h2, h3, button, .soft")];
        const drawn = [...document.querySelectorAll("svg text")];
        return {
          title: document.title,
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          faint: [
            ...words.filter((it) => it.textContent.trim() && contrast(it, getComputedStyle(it).color) < 4.5),
            ...drawn.filter((it) => contrast(it, getComputedStyle(it).fill) < 4.5),
          ].map((it) => it.textContent.trim().slice(0, 60)),
          passed: getComputedStyle(document.querySelector(".passed") ?? document.body).fill,
          dark: luminance(parse(getComputedStyle(document.body).backgroundColor)) < 0.2,
        };
      });
      const column = page.locator("table.sortable tbody tr td:nth-child(3)");
      const sorted = [];
      const head = page.locator("table.sortable thead th").nth(2);
      for (let press = 0; press < 2; press++) {
        await head.locator("button").focus();
        await page.keyboard.press("Enter");
        sorted.push({ way: await head.getAttribute("aria-sort"), values: await column.allTextContents() });
      }
      reports.push({ page: name, screen: `${width} ${colorScheme}`, asked, errors, sorted, ...found });
      await context.close();
    }
  }
}
await browser.close();
console.log(JSON.stringify(reports));
