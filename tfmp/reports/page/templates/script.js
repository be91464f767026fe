"use strict";
// Everything can be read without this script: it sorts tables, and opens what a link or the printer needs.
const open = (element) => {
  for (let each = element; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
};
const openTarget = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) { open(target); target.scrollIntoView(); }
};
addEventListener("hashchange", openTarget);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(open));
if (location.hash) openTarget();

const keyOf = (row, column) => {
  const cell = row.cells[column], data = cell.querySelector("data");
  return data ? Number(data.value) : cell.textContent;
};
const compare = (a, b) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;  // empty cells come last
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});
};
document.querySelectorAll("table").forEach((table) => {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 3) return;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column)));
      body.append(...rows);
    });
  });
});
