/* Opens a course's submissions in the formgrader, presses "autograde" for one student, and prints
   the scores before and after, as JSON.

   node visit_formgrader.mjs PACKAGE_JSON CHROMIUM SERVER TOKEN ASSIGNMENT STUDENT SCREENSHOT */
import { createRequire } from "node:module";
const [modules, executablePath, server, token, assignment, student, screenshot] = process.argv.slice(2);
const { chromium } = createRequire(modules)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const extraHTTPHeaders = { Authorization: `token ${token}` };
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, extraHTTPHeaders });
// Reached only where something is stuck: other work on the machine may make each step slow.
context.setDefaultTimeout(300000);
const page = await context.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(String(error)));
page.on("response", (it) => it.status() >= 400 && errors.push(`${it.status()} ${it.url()}`));
const scores = async () => {
  await page.waitForFunction(() => {
    const cells = [...document.querySelectorAll("tbody td.score")];
    return cells.length && cells.every((cell) => cell.textContent.includes("/"));
  }).catch(async (error) => {
    throw new Error(`${error}; the page: ${page.url()} ${await page.locator("body").innerText()}; ${errors}`);
  });
  return page.evaluate(() =>
    Object.fromEntries([...document.querySelectorAll("tbody tr")].map((row) => [
      row.querySelector(".student-id").textContent.trim(),
      row.querySelector(".score").textContent.trim(),
    ])));
};
await page.goto(`${server}/formgrader/manage_submissions/${assignment}`);
const before = await scores();
await page.screenshot({ path: screenshot, fullPage: true });
const answer = page.waitForResponse((it) => it.url().endsWith(`/${assignment}/${student}/autograde`));
await page.locator("tbody tr", { hasText: student }).locator(".autograde a").click();
const said = await (await answer).json();
await page.reload();
const after = await scores();
await browser.close();
console.log(JSON.stringify({ before, after, errors, said }));
