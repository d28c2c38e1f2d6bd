/* Pictures that move by themselves, and the map of chapters. Without this script both are still there. */
addEventListener("DOMContentLoaded", () => {
  for (const picture of document.querySelectorAll("svg.motion")) {
    if (!picture.getAnimations({ subtree: true }).length) continue; // the reader asked for less motion
    const again = document.createElement("button");
    again.type = "button";
    again.className = "motion-again";
    again.textContent = "Play again";
    again.addEventListener("click", () => {
      for (const animation of picture.getAnimations({ subtree: true })) {
        animation.cancel();
        animation.play();
      }
    });
    picture.after(again);
  }

  /* Point at a chapter, or go to it: the arcs of all that it rests on stand out. */
  for (const map of document.querySelectorAll(".chapter-map")) {
    // Last to first: arcs come in the order of the chapters they end at.
    const arcs = [...map.querySelectorAll("path[data-to]")].reverse();
    const show = (link) => {
      const wanted = new Set(link ? [link.pathname.split("/").pop().replace(".html", "")] : []);
      for (const arc of arcs) {
        const needed = wanted.has(arc.dataset.to);
        if (needed) wanted.add(arc.dataset.from);
        arc.classList.toggle("needed", needed);
      }
    };
    for (const row of map.querySelectorAll("li")) {
      const link = row.querySelector("a");
      row.addEventListener("pointerenter", () => show(link));
      row.addEventListener("pointerleave", () => show(map.querySelector("li:focus-within a")));
      row.addEventListener("focusin", () => show(link));
      row.addEventListener("focusout", () => show(null));
    }
  }
});
