const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Colour scheme: the system's preference, until the reader switches.
const theme = document.getElementById("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

// Mark the current section in the navigation.
const links = new Map(all("nav li a").map((link) => [link.hash.slice(1), link]));
const spy = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -75% 0px" });
all("main section").forEach((section) => spy.observe(section));

// Tables: sort by any column, filter by words.
const order = (down, numeric) => (a, b) => {
  if (!numeric) return String(a).localeCompare(String(b), undefined, { numeric: true }) * (down ? -1 : 1);
  const [x, y] = [Number(a), Number(b)];
  if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y); // missing values come last
  return (x - y) * (down ? -1 : 1);
};
const sortable = (heads, sort) => heads.forEach((head, column) => {
  if ("plain" in head.dataset) return;
  const button = element("button", { type: "button" }, ...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const sorted = head.getAttribute("aria-sort"), numeric = head.classList.contains("n");
    const down = sorted ? sorted === "ascending" : numeric;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort(column, order(down, numeric));
  });
});
for (const table of all("table.sortable")) {
  const body = table.tBodies[0];
  const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim().replaceAll(",", "");
  sortable([...table.tHead.rows[0].cells], (column, compare) =>
    body.append(...[...body.rows].sort((a, b) => compare(key(a, column), key(b, column)))));
}
for (const region of all("[data-filter]")) {
  const rows = all("tbody tr", region);
  if (rows.length < 4) continue;
  const input = element("input", { type: "search", autocomplete: "off" }), count = element("output");
  count.setAttribute("aria-live", "polite");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.value = input.value ? `${shown} of ${rows.length}` : "";
  });
  region.before(element("div", { className: "controls" }, element("label", {}, `Filter ${region.dataset.filter} `, input), count));
}

// Clips.
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
for (const button of all("button.play")) {
  button.hidden = still;
  button.addEventListener("click", () => {
    const paused = document.body.classList.toggle("paused");
    button.setAttribute("aria-pressed", String(!paused));
    button.textContent = paused ? "Play clips" : "Pause clips";
  });
}
for (const controls of all("[data-gallery]")) {
  const cards = all("li.card", document.getElementById(controls.dataset.gallery)), count = controls.querySelector("output");
  const [models, label] = all("select", controls);
  const show = () => {
    let shown = 0;
    for (const card of cards) {
      card.hidden = (models.value && !JSON.parse(card.dataset.models).includes(models.value)) || (label.value && card.dataset.label !== label.value);
      shown += !card.hidden;
    }
    count.value = `${shown} of ${cards.length} ${document.body.dataset.noun}s`;
  };
  controls.addEventListener("input", show);
  controls.hidden = false;
  show();
}

// Every video: create only the rows of the current page.
const videos = JSON.parse(document.getElementById("videos-data").textContent), PAGE = 50;
const form = document.getElementById("videos-controls"), pages = document.getElementById("videos-pages");
const noun = document.body.dataset.noun, heads = [[noun[0].toUpperCase() + noun.slice(1)], ["Class"], ["Group"], ["Fold", "n"], ...videos.models.map((model) => [model, "n"])];
const values = [
  (i) => videos.ids[i], (i) => videos.classes[videos.label[i]], (i) => videos.groups[videos.group[i]], (i) => videos.fold[i],
  ...videos.models.map((_, m) => (i) => videos.own[m][i]),
];
const wrong = (m, i) => videos.predicted[m][i] !== videos.label[i];
const body = element("tbody");
const row = element("tr", {}, ...heads.map(([text, kind = ""]) => element("th", { scope: "col", className: kind }, text)));
document.getElementById("videos-table").append(element("table", {}, element("thead", {}, row), body));
let chosen = videos.ids.map((_, i) => i), first = 0, sorting = null;
const turn = () => {
  body.replaceChildren(...chosen.slice(first, first + PAGE).map((i) => element("tr", {},
    element("th", { scope: "row", className: "id" }, videos.ids[i]),
    ...values.slice(1, 4).map((value, v) => element("td", { className: v === 2 ? "n" : "" }, value(i))),
    ...videos.models.map((_, m) => {
      const given = (videos.own[m][i] / 1000).toFixed(2);
      return wrong(m, i)
        ? element("td", { className: "n wrong", title: `predicted: ${videos.classes[videos.predicted[m][i]]}` }, `✗ ${given}`)
        : element("td", { className: "n" }, given);
    }))));
  pages.querySelector("output").value = chosen.length
    ? `${first + 1} to ${Math.min(first + PAGE, chosen.length)} of ${chosen.length.toLocaleString("en")}` : "none";
  const [back, on] = all("button", pages);
  back.disabled = first === 0;
  on.disabled = first + PAGE >= chosen.length;
};
const choose = () => {
  const text = form.elements.text.value.toLowerCase(), label = form.elements.label.value, model = form.elements.wrong.value;
  chosen = videos.ids.map((_, i) => i).filter((i) =>
    (videos.ids[i].toLowerCase().includes(text) || values[2](i).toLowerCase().includes(text))
    && (label === "" || videos.label[i] === Number(label))
    && (model === "" || (model === "every" ? videos.models.every((_, m) => wrong(m, i)) : wrong(Number(model), i))));
  if (sorting) chosen.sort(sorting);
  first = 0;
  turn();
};
const options = (select, ...given) => select.append(...given.map(([value, text]) => element("option", { value }, text)));
options(form.elements.label, ["", "any"], ...videos.classes.map((name, c) => [c, name]));
options(form.elements.wrong, ["", "any or none"], ["every", "every model"], ...videos.models.map((name, m) => [m, name]));
sortable([...row.cells], (column, compare) => {
  sorting = (i, j) => compare(values[column](i), values[column](j));
  choose();
});
form.addEventListener("input", choose);
form.addEventListener("submit", (event) => event.preventDefault());
pages.addEventListener("click", (event) => {
  if (event.target.value) { first += PAGE * Number(event.target.value); turn(); }
});
form.hidden = pages.hidden = false;
turn();
