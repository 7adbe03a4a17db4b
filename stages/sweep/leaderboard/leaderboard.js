"use strict";
(() => {
  // A configuration is a row of the table, a line and some points: pointing at one of them marks all.
  const parts = new Map();
  for (const part of document.querySelectorAll("[data-row]")) {
    const name = part.dataset.row;
    if (!parts.has(name)) parts.set(name, []);
    parts.get(name).push(part.closest("tr") ?? part);
  }

  let marked = null;
  const mark = (name) => {
    if (name === marked) return;
    for (const part of parts.get(marked) ?? []) part.classList.remove("active");
    for (const part of parts.get(name) ?? []) part.classList.add("active");
    marked = name;
  };

  const nameAt = (target) => {
    const part = target.closest("[data-row]") ?? target.closest("tr")?.querySelector("[data-row]");
    return part?.dataset.row ?? null;
  };

  document.addEventListener("pointerover", (event) => mark(nameAt(event.target)));
  document.addEventListener("focusin", (event) => mark(nameAt(event.target)));
})();
