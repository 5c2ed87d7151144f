"use strict";
// Tables: a heading's button sorts by its column, the lists above choose rows.
for (const box of document.querySelectorAll(".sortable")) {
  const body = box.querySelector("tbody"), rows = [...body.rows];
  const lists = [...box.querySelectorAll("select")], heads = [...box.querySelectorAll("thead th")];
  const value = (row, i) => row.cells[i].dataset.v ?? row.cells[i].textContent.trim();
  const choose = () => {
    for (const row of rows)
      row.hidden = lists.some((l) => l.value && l.value !== value(row, l.dataset.column));
    const shown = rows.filter((row) => !row.hidden).length;
    box.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
  };
  const sort = (i) => {
    const down = heads[i].ariaSort === "ascending";
    const number = heads[i].classList.contains("n");
    const compare = (a, b) => {
      const [x, y] = [value(a, i), value(b, i)];
      if (!number) return (down ? -1 : 1) * x.localeCompare(y, "en", { numeric: true });
      const [p, q] = [parseFloat(x), parseFloat(y)]; // undefined numbers come last
      return isNaN(p) - isNaN(q) || (down ? q - p : p - q) || 0;
    };
    body.append(...[...rows].sort(compare));
    heads.forEach((head, j) => (head.ariaSort = j === i ? (down ? "descending" : "ascending") : null));
  };
  for (const list of lists) list.addEventListener("change", choose);
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => sort(i)));
  choose();
}

// Figures: a click shows them in full size, in a box that scrolls.
for (const button of document.querySelectorAll(".zoom"))
  button.addEventListener("click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
  });

// A link to a scenario opens it and what it lies in.
const open = () => {
  for (let at = document.getElementById(location.hash.slice(1)); at; at = at.parentElement)
    if (at.tagName === "DETAILS") at.open = true;
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
};
window.addEventListener("hashchange", open);
open();

// Charts: all of a grid show the chosen scenario, and the defenses that are ticked.
const content = JSON.parse(document.getElementById("charts").textContent);
for (const box of document.querySelectorAll(".charts")) {
  const { data, specs } = content[box.dataset.grid];
  const list = box.querySelector(".scenario"), ticks = [...box.querySelectorAll("input")];
  const state = () => ({
    scenario: list.value,
    shown: ticks.filter((tick) => tick.checked).map((tick) => tick.value),
  });
  const embedded = [...box.querySelectorAll(".chart")].map(async (at) => {
    const spec = { ...specs[at.dataset.chart], datasets: data };
    spec.params = spec.params.map((param) => ({ ...param, value: state()[param.name] ?? param.value }));
    return (await vegaEmbed(at, spec, { renderer: "svg", actions: false })).view;
  });
  box.addEventListener("change", async () => {
    for (const view of await Promise.all(embedded)) {
      for (const [name, value] of Object.entries(state())) view.signal(name, value);
      await view.runAsync();
    }
  });
}
