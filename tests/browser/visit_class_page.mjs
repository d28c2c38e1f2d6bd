/* Opens pages about a class from files, offline, and prints what it found, as JSON.

   node visit_class_page.mjs CHROMIUM FOLDER SCREENSHOTS NAME... */
import { pathToFileURL } from "node:url";
import { addLooks, DESKTOP, launch, PHONE } from "./browser.mjs";

const [executablePath, folder, screenshots, ...pages] = process.argv.slice(2);
const browser = await launch(executablePath);
const reports = [];
for (const name of pages) {
  for (const viewport of [DESKTOP, PHONE]) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport, colorScheme, offline: true });
      const page = await context.newPage();
      page.setDefaultTimeout(120000); // the machine may be busy
      const asked = [];
      const errors = [];
      page.on("request", (request) => asked.push(request.url()));
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      page.on("dialog", (dialog) => { errors.push(dialog.message()); dialog.dismiss(); });
      await page.goto(pathToFileURL(`${folder}/${name}.html`).href);
      if (name === "small") await page.screenshot({ path: `${screenshots}/class-page-${name}-${viewport.width}-${colorScheme}.png`, fullPage: true });
      await page.evaluate(() => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
      await page.evaluate(addLooks);
      const found = await page.evaluate(() => {
        const { contrast, ground, luminance } = looks;
        const words = [...document.querySelectorAll("p, li, dt, dd, th, td, summary, a, caption, h1, h2, h3, button, .soft")];
        const drawn = [...document.querySelectorAll("svg text")];
        return {
          title: document.title,
          overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          faint: [
            ...words.filter((it) => it.textContent.trim() && contrast(it) < 4.5),
            ...drawn.filter((it) => contrast(it, getComputedStyle(it).fill) < 4.5),
          ].map((it) => it.textContent.trim().slice(0, 60)),
          passed: getComputedStyle(document.querySelector(".passed") ?? document.body).fill,
          dark: luminance(ground(document.body)) < 0.2,
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
      reports.push({ page: name, screen: `${viewport.width} ${colorScheme}`, asked, errors, sorted, ...found });
      await context.close();
    }
  }
}
await browser.close();
console.log(JSON.stringify(reports));
