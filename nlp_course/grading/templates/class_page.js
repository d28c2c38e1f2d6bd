// Sorts tables by a column; without it the page reads the same.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (one, other) => {
        const [a, b] = [value(one), value(other)];
        if (a === "" || b === "") return (a === "") - (b === "");  // what is not marked comes last
        const both = a - b;
        return (up ? 1 : -1) * (Number.isNaN(both) ? a.localeCompare(b, "en", { numeric: true }) : both);
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// On paper nothing unfolds; two answers side by side stay folded.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not(.diff)")) fold.open = true;
});
