/* What axe-core finds on an open page, in the light theme and in the dark one. */

// Colours alone differ between the themes; all other rules are asked once.
const IN_DARK = { runOnly: ["color-contrast", "link-in-text-block"] };

/* Most elements are formulas', words of code, and functions of the package, and axe's time grows with
   their number. They are all made alike: a few of them and a word of each colour stay; other formulas
   and words become plain text, other functions go, and so does code all of whose colours were seen. */
const KEPT = { formulas: 20, functions: 40, blocks: 20 };
function thin({ formulas, functions, blocks }) {
  for (const entry of [...document.querySelectorAll("dl.py")].slice(functions)) entry.remove();
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const answer of document.querySelectorAll(".toggle-hidden")) answer.classList.remove("toggle-hidden");
  for (const formula of [...document.querySelectorAll("mjx-container")].slice(formulas)) {
    formula.replaceWith(formula.hasAttribute("display") ? "" : formula.textContent);
  }
  const seen = new Set();
  for (const [place, code] of document.querySelectorAll(".highlight pre").entries()) {
    const ground = getComputedStyle(code).backgroundColor;
    for (const word of code.querySelectorAll("span[class]")) {
      const kind = `${ground} ${word.className}`;
      if (seen.has(kind)) word.replaceWith(...word.childNodes);
      seen.add(kind);
    }
    if (place >= blocks && !code.querySelector("span[class]")) code.closest(".highlight").remove();
  }
}

/* Spoils the page for other looks: formulas become text, and answers stand open.

   axe is the text of its script; theme(name) sets the page's theme. */
export async function audit(page, axe, theme) {
  // Colours are looked at when they have changed, not while they do.
  await page.emulateMedia({ reducedMotion: "reduce" });
  await theme("light");
  await page.evaluate(thin, KEPT);
  await page.waitForTimeout(350); // the theme's script looks around 300 ms after a change
  await page.evaluate(axe);
  const findings = await ask(page, {});
  await theme("dark");
  return [...findings, ...(await ask(page, IN_DARK))];
}

const ask = (page, options) =>
  page.evaluate(async (options) => {
    const found = await axe.run(document, { ...options, resultTypes: ["violations"], preload: false });
    return found.violations.flatMap(({ id, impact, nodes }) =>
      nodes.map((node) => ({
        rule: id,
        impact,
        where: node.target.join(" "),
        what: `${node.html.slice(0, 200)} ${node.failureSummary}`,
      })),
    );
  }, options);
