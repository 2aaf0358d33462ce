"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const get = id => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const make = (tag, text = "", properties = {}) => Object.assign(document.createElement(tag), { textContent: text }, properties);

// Choices are kept in the address, so that a link shows what its sender saw.
const choices = new URLSearchParams(location.search);
const choose = (key, value) => {
  if (value === null) choices.delete(key); else choices.set(key, value);
  history.replaceState(null, "", `${choices.size ? "?" + choices : location.pathname}${location.hash}`);
};

// Charts: drawn when they come into view, as wide as there is room.
const draw = (element, specification) => {
  const drawn = structuredClone(specification);
  if (drawn.usermeta && element.clientWidth < 500) drawn.height = drawn.usermeta.narrow;
  return vegaEmbed(element, drawn, { actions: false, renderer: "svg", logLevel: 1 });
};
const seen = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({ target }) => {
  seen.unobserve(target);
  if (target.dataset.chart !== "curves") draw(target, data.charts[target.dataset.chart]);
}), { rootMargin: "300px" });
all("[data-chart]").forEach(element => seen.observe(element));

// Downloads and copies.
const save = (name, type, text) => make("a", "", { download: name, href: URL.createObjectURL(new Blob([text], { type })) }).click();
const quoted = value => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value ?? "");
const csv = lines => lines.map(line => line.map(quoted).join(",")).join("\n") + "\n";
const valuesOf = specification => specification.data.values;
const saveChart = { // by the text of the button
  SVG: (name, figure) => save(`${name}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(figure.querySelector("svg"))),
  CSV: (name) => {
    const values = valuesOf(data.charts[name]), keys = Object.keys(values[0]);
    save(`${name}.csv`, "text/csv", csv([keys, ...values.map(value => keys.map(key => [value[key]].flat().join(" ")))]));
  },
};
const tools = (...buttons) => {
  const row = make("div", "", { className: "tools" });
  for (const [text, label, action] of buttons) {
    const button = make("button", text, { type: "button", onclick: action });
    button.setAttribute("aria-label", label);
    row.append(button);
  }
  return row;
};
for (const figure of all("figure[id]")) {
  const link = ["Link", `Link to ${figure.id}`, () => { location.hash = figure.id; }];
  figure.append(tools(...Object.entries(saveChart).map(([kind, action]) => [kind, `${kind} of ${figure.id}`, () => action(figure.id, figure)]), link));
}
for (const table of all(".table table")) {
  const lines = () => all("tr", table).map(row => all("th, td", row).map(cell => cell.textContent.trim().replace(/\s+/g, " ")));
  const label = table.parentElement.getAttribute("aria-label");
  table.parentElement.before(Object.assign(tools(["CSV", `CSV of ${label}`, () => save(`${label}.csv`, "text/csv", csv(lines()))]), { style: "position: static" }));
  all("thead th", table).forEach((head, column) => {
    if (table.className !== "sortable") return;
    const button = make("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      all("th", table).forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = row => row.children[column].textContent.trim();
      const number = row => parseFloat(key(row).replace("−", "-").replaceAll(",", ""));
      const rows = all("tbody tr", table).sort((a, b) => (number(a) - number(b)) || key(a).localeCompare(key(b), "en", { numeric: true }));
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    };
  });
}
for (const block of all("pre")) {
  const button = make("button", "Copy", { type: "button" }), text = block.textContent;
  button.onclick = () => navigator.clipboard.writeText(text).then(() => { button.textContent = "Copied"; });
  block.append(button);
}

// On a phone, claims without a verdict are folded.
if (matchMedia("(max-width: 45rem)").matches) all("details.claim.open").forEach(claim => { claim.open = false; });

// A permalink opens what it points into.
const reveal = () => {
  const target = get(decodeURIComponent(location.hash.slice(1)));
  for (let element = target; element; element = element.parentElement) if (element.tagName === "DETAILS") element.open = true;
  target?.scrollIntoView();
};
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => all("details").forEach(element => { element.open = true; }));
if (location.hash) reveal();

// Theme: as the system has it, light or dark.
const themes = { auto: "light dark", light: "light", dark: "dark" };
const showTheme = () => {
  const theme = choices.get("theme") ?? "auto";
  document.documentElement.style.colorScheme = themes[theme];
  get("theme").textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
  get("theme").title = `Theme: ${theme}`;
  get("theme").setAttribute("aria-label", `Theme: ${theme}`);
};
get("theme").hidden = false;
get("theme").onclick = () => {
  const names = Object.keys(themes), next = names[(names.indexOf(choices.get("theme") ?? "auto") + 1) % names.length];
  choose("theme", next === "auto" ? null : next);
  showTheme();
};
showTheme();

// Curves: any rows over each other.
const smoothed = (values, width) => values.map((_, place) => {
  const near = values.slice(Math.max(0, place - width), place + width + 1).filter(value => value !== null);
  return near.length ? near.reduce((a, b) => a + b) / near.length : null;
});
const drawCurves = () => {
  const form = get("curve-controls"), metric = form.metric.value, width = Number(form.smooth.value);
  const splits = all("[name=split]:checked", form).map(box => box.value);
  const rows = (choices.get("rows") ?? form.dataset.first).split(" ").filter(row => row in data.curves);
  const values = rows.flatMap(row => splits.flatMap(split => {
    const [median, low, high] = data.curves[row][`${split} ${metric}`].map(curve => smoothed(curve, width).map(value => value && Number(value.toFixed(4))));
    return median.map((value, place) => ({ row, split, epoch: place + 1, median: value, low: low[place], high: high[place],
      kept: split === "validation" && data.curves[row].kept.includes(place + 1) }));
  }));
  const specification = structuredClone(data.charts.curves);
  specification.layer.forEach(layer => {
    layer.encoding.y.title = form.metric.selectedOptions[0].text;
    if (layer.encoding.color?.scale) layer.encoding.color.scale.domain = rows;
    const known = values.filter(value => value.low !== null), settled = known.filter(value => value.epoch > data.settling);
    const ends = settled.length ? settled : known;
    if (layer.encoding.y.scale && ends.length) layer.encoding.y.scale.domain = [Math.min(...ends.map(v => v.low)), Math.max(...ends.map(v => v.high))];
  });
  specification.data.values = values;
  data.charts.curves = specification;
  draw(document.querySelector("[data-chart=curves]"), specification);
};
const curveControls = () => {
  const form = get("curve-controls");
  form.hidden = false;
  if (all("option", form.metric).some(option => option.value === choices.get("metric"))) form.metric.value = choices.get("metric");
  form.smooth.value = choices.get("smooth") ?? "0";
  const rows = new Set((choices.get("rows") ?? form.dataset.first).split(" "));
  all("[name=row]", form).forEach(box => { box.checked = rows.has(box.value); });
  all("[name=split]", form).forEach(box => { box.checked = (choices.get("splits") ?? "training validation").split(" ").includes(box.value); });
  form.oninput = ({ target }) => {
    if (target.name === "row") {
      if (target.checked) rows.add(target.value); else rows.delete(target.value);
      choose("rows", [...rows].join(" "));
    } else if (target.name === "split") choose("splits", all("[name=split]:checked", form).map(box => box.value).join(" "));
    else choose(target.name, target.value);
    drawCurves();
  };
  drawCurves();
};
curveControls();

// The gallery: one image, as each row sees it.
const gallery = () => {
  const { classes, methods, images, rows } = data.gallery, form = get("gallery-controls");
  const best = shares => shares.indexOf(Math.max(...shares));
  const wrong = (row, place) => best(row.probabilities[place]) !== images[place].label;
  const stack = (place, map, large) => {
    const box = make("span", "", { className: `stack${large ? " large" : ""}` });
    box.append(make("img", "", { src: images[place].picture, alt: large ? images[place].source : "" }));
    if (map) box.append(make("img", "", { src: map, alt: large ? "focus map over the image" : "" }));
    return box;
  };
  let place = Math.max(0, Math.min(Number(choices.get("image")) || 0, images.length - 1)), method = Math.max(0, methods.indexOf(choices.get("method")));
  const look = row => {
    const shares = row.probabilities[place], guess = best(shares), label = images[place].label, mistaken = wrong(row, place);
    const column = make("div", "", { className: `look${mistaken ? " is-wrong" : ""}` });
    const words = make("p", `predicts ${classes[guess]}, ${shares[guess].toFixed(0)} %: `);
    words.append(make("span", mistaken ? `✗ wrong, it is ${classes[label]}` : "✓ right", { className: mistaken ? "wrong" : "" }));
    if (!row.maps[method][place]) words.append(` No positive evidence for ${classes[label]}.`);
    const bars = make("ol", "", { className: "bars" });
    shares.forEach((share, c) => {
      const line = make("li", "", { className: c === label ? "label" : c === guess ? "mistake" : "" });
      const bar = make("span");
      bar.append(make("i", "", { style: `width: ${share}%` }));
      line.append(make("span", classes[c]), bar, make("span", `${share.toFixed(0)} %`));
      bars.append(line);
    });
    const view = make("div", "", { className: "seen" }), strip = make("div", "", { className: "strip" });
    view.append(stack(place, row.maps[method][place], true), bars);
    methods.forEach((title, m) => {
      const button = make("button", "", { type: "button", onclick: () => { method = m; choose("method", title); show(); } });
      button.setAttribute("aria-pressed", m === method);
      button.append(stack(place, row.maps[m][place], false), title.replace(/([a-z])([A-Z])/g, "$1\u200b$2")); // may break here
      strip.append(button);
    });
    column.append(make("h3", row.name), words, view, strip, make("p", row.made[method], { className: "soft" }));
    return column;
  };
  const show = () => {
    get("looks-now").replaceChildren(...rows.map(look));
    const label = images[place].label;
    form.class.value = label;
    get("image-now").textContent = `${images[place].source}, ${place + 1} of ${images.length}`;
    get("thumbs").replaceChildren(...images.flatMap((image, other) => {
      if (image.label !== label) return [];
      const mistaken = rows.some(row => wrong(row, other));
      const button = make("button", "", { type: "button", className: mistaken ? "is-wrong" : "", onclick: () => go(other) });
      button.setAttribute("aria-current", other === place);
      button.append(make("img", "", { src: image.picture, alt: image.source + (mistaken ? ", misclassified" : "") }));
      return [button];
    }));
  };
  const go = next => { place = (next + images.length) % images.length; choose("image", place); show(); };
  const step = by => {
    let next = place;
    do next = (next + by + images.length) % images.length;
    while (form.wrong.checked && next !== place && !rows.some(row => wrong(row, next)));
    go(next);
  };
  classes.forEach((name, c) => form.class.add(new Option(name, c)));
  form.class.onchange = () => go(images.findIndex(image => image.label === Number(form.class.value)));
  form.previous.onclick = () => step(-1);
  form.next.onclick = () => step(1);
  form.wrong.checked = choices.has("wrong");
  form.wrong.onchange = () => { choose("wrong", form.wrong.checked ? "1" : null); if (form.wrong.checked && !rows.some(row => wrong(row, place))) step(1); };
  form.overlay.value = choices.get("overlay") ?? form.overlay.value;
  const fade = () => get("gallery").style.setProperty("--opacity", form.overlay.value / 100);
  form.overlay.oninput = () => { choose("overlay", form.overlay.value); fade(); };
  get("gallery").addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || ["INPUT", "SELECT"].includes(event.target.tagName)) return;
    event.preventDefault();
    step(by);
    form.next.focus({ preventScroll: true });
  });
  get("gallery").hidden = false;
  fade();
  show();
};
if (data.gallery) gallery();
