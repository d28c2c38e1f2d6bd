/* A card with its definition at each term's first use in a page. The definitions stand at the
   page's end; tippy.js places a copy beside the term while the pointer is on either, or the focus. */
(() => {
  const { tippy } = window;
  let touching = false;
  addEventListener("pointerdown", (event) => (touching = event.pointerType !== "mouse"), true);

  const cards = [];

  addEventListener("keydown", (event) => {
    touching = false;
    if (event.key !== "Escape") return;
    for (const card of cards.filter((it) => it.state.isVisible)) {
      if (card.popper.contains(document.activeElement)) card.reference.focus();
      card.clearDelayTimeouts();
      card.hide();
    }
  }, true);

  const copy = (definition) => {
    const card = document.createElement("div");
    card.append(...definition.cloneNode(true).childNodes);
    return card;
  };

  for (const name of document.querySelectorAll(".term-first")) {
    const link = name.closest("a");
    const definition = document.getElementById(`card-${decodeURIComponent(link.hash.slice(1))}`);
    if (!definition) continue;
    // The text at the page's end is there before the card is, when the focus comes.
    link.setAttribute("aria-describedby", definition.id);
    // A finger has no other way to the card: the card's own link leads on.
    link.addEventListener("click", (event) => touching && event.preventDefault());
    const card = tippy(link, {
      animation: false,
      aria: { content: null, expanded: false },
      arrow: false,
      delay: [200, 100],
      interactive: true,
      maxWidth: "min(24rem, calc(100vw - 1rem))",
      popperOptions: { strategy: "fixed" },
      theme: "term",
      onShow: (it) => it.setContent(copy(definition)),
      // Right after its term, so that the Tab key goes from one to the other.
      onMount: (it) => link.after(it.popper),
    });
    card.popper.addEventListener("focusout", (event) => {
      if (event.relatedTarget !== link && !card.popper.contains(event.relatedTarget)) card.hide();
    });
    cards.push(card);
  }
})();
