/* Runs before the deferred MathJax bundle and before the widgets. */
(() => {
  /* Widgets' labels still ask for MathJax 2's Hub.Queue: answer with MathJax 3. */
  const config = (window.MathJax = window.MathJax || {});
  config.startup = Object.assign({}, config.startup, {
    ready() {
      window.MathJax.Hub = {
        Queue(job) {
          const element = job && job[2];
          if (element) {
            window.MathJax.startup.promise.then(() => window.MathJax.typesetPromise([element]));
          }
        },
      };
      window.MathJax.startup.defaultReady();
    },
  });

  /* Hundreds of formulas a page are read, not pressed: the Tab key passes them. */
  config.options = Object.assign({}, config.options, {
    menuOptions: { settings: { inTabOrder: false } },
  });

  /* But one that is wider than its column scrolls by the arrow keys once the Tab key is on it. */
  const reach = () => {
    for (const formula of document.querySelectorAll('div.math mjx-container[display="true"]')) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  addEventListener("load", () => {
    if (!window.MathJax.startup?.promise) return; // a page without formulas
    window.MathJax.startup.promise.then(reach);
    let waiting;
    addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(reach, 300);
    });
  });

  /* What a fold hides has no width: once it is open, see again what scrolls. */
  addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);

  /* A page that was opened from its file may not read others: the search then shows no excerpts. */
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  /* Paper is white: a dark page is light while it is printed. */
  const { dataset } = document.documentElement;
  addEventListener("beforeprint", () => {
    dataset.shown = dataset.theme;
    dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    dataset.theme = dataset.shown;
  });

  /* A slider is drawn as a bare handle: give it its label and its value, for screen readers. */
  const name = (root) => {
    for (const slider of root.querySelectorAll(".widget-slider")) {
      const handle = slider.querySelector(".noUi-handle");
      const label = slider.querySelector(".widget-label");
      const value = slider.querySelector(".widget-readout");
      if (!handle || !label || !value) continue;
      const say = () => handle.setAttribute("aria-valuetext", value.textContent);
      if (!handle.hasAttribute("aria-label")) {
        handle.setAttribute("aria-label", label.textContent);
        new MutationObserver(say).observe(value, { childList: true, characterData: true, subtree: true });
        say();
      }
    }
  };
  addEventListener("DOMContentLoaded", () => {
    name(document);
    new MutationObserver(() => name(document)).observe(document.body, { childList: true, subtree: true });
  });
})();
