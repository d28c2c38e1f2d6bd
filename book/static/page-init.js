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
