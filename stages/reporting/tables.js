"use strict";
(() => {
  const sortBy = (table, header) => {
    const column = [...header.parentNode.children].indexOf(header);
    const ascending = header.getAttribute("aria-sort") === "descending";
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.children[column];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const missing = (each) => typeof each === "string" && header.classList.contains("number");
    const compare = (first, second) => {
      const [a, b] = [value(first), value(second)];
      if (missing(a) !== missing(b)) return missing(a) ? 1 : -1;
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return ascending ? order : -order;
    };
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const header of table.tHead.rows[0].children) {
      header.querySelector("button")?.addEventListener("click", () => sortBy(table, header));
    }
  }
})();
