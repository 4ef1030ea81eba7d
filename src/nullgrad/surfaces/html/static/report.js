"use strict";
// Draws the charts, fills tables when they are opened, and saves them as CSV. Text is only ever set as text.
(() => {
  const page = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const views = {};
  const MINUS = "\u2212";
  const FIRST = 200;

  const shown = (table) => table.columns.map((column, at) => ({ column, at })).filter(({ column }) => column.shown);

  function told(value, kind) {
    if (value === null || value === undefined) return "";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    let text;
    if (kind === "percent") text = value.toFixed(1);
    else if (kind === "points") text = (value > 0 && value.toFixed(1) !== "0.0" ? "+" : "") + value.toFixed(1);
    else if (kind === "p") text = value >= 1e-5 || value === 0 ? String(Number(value.toPrecision(2))) : value.toExponential(0);
    else if (kind === "count") text = value.toLocaleString("en-US", { maximumFractionDigits: 0 });
    else text = String(Number(value.toPrecision(3)));
    return text.replace("-", MINUS);
  }

  function fill(details) {
    if (details.querySelector("table")) return;
    const table = page.tables[details.dataset.table];
    const columns = shown(table);
    const box = document.createElement("div");
    box.className = "scroll";
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Table, scrolls sideways: " + table.title);
    const element = document.createElement("table");
    const caption = element.createCaption();
    caption.textContent = table.title;
    const head = element.createTHead().insertRow();
    for (const { column } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = column.title;
      if (column.kind !== "text") cell.className = "number";
      head.append(cell);
    }
    const body = element.createTBody();
    const add = (from, to) => {
      for (const row of table.rows.slice(from, to)) {
        const line = body.insertRow();
        columns.forEach(({ column, at }, place) => {
          const cell = document.createElement(place === 0 ? "th" : "td");
          if (place === 0) cell.scope = "row";
          cell.textContent = told(row[at], column.kind);
          if (column.kind !== "text") cell.className = "number";
          line.append(cell);
        });
      }
    };
    add(0, FIRST);
    box.append(element);
    details.append(box);
    if (table.rows.length > FIRST) {
      const more = document.createElement("button");
      more.type = "button";
      more.textContent = "Show all " + table.rows.length.toLocaleString("en-US") + " rows";
      more.addEventListener("click", () => { add(FIRST, table.rows.length); more.remove(); box.focus(); });
      details.append(more);
    }
  }

  function csv(table) {
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    };
    const columns = shown(table);
    const lines = [columns.map(({ column }) => cell(column.name)).join(",")];
    for (const row of table.rows) lines.push(columns.map(({ at }) => cell(row[at])).join(","));
    return lines.join("\n") + "\n";
  }

  function save(name) {
    const blob = new Blob([csv(page.tables[name])], { type: "text/csv;charset=utf-8" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = page.run + "-" + name + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function filled(value, colours) {
    if (typeof value === "string") return value[0] === "@" && value.slice(1) in colours ? colours[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((part) => filled(part, colours));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, filled(part, colours)]));
    }
    return value;
  }

  function theme() {
    return root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  async function draw(box, colours) {
    const name = box.dataset.chart;
    const table = page.tables[name];
    const names = table.columns.map((column) => column.name);
    const rows = table.rows.map((row) => Object.fromEntries(names.map((key, at) => [key, row[at]])));
    const spec = { ...filled({ ...page.specs[name], config: page.config }, colours), datasets: { rows } };
    if (views[name]) views[name].finalize();
    const found = await vegaEmbed(box, spec, {
      mode: "vega-lite", ast: true, renderer: "svg", actions: false, defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    });
    views[name] = found;
  }

  let turn = 0;
  async function drawAll() {
    const own = ++turn;
    root.removeAttribute("data-drawn");
    printing = false;
    const colours = page.themes[theme()];
    let failed = 0;
    for (const box of document.querySelectorAll("[data-chart]")) {
      if (own !== turn) return;
      try {
        await draw(box, colours);
      } catch (error) {
        failed += 1;
        box.textContent = "This chart cannot be drawn here; its table has the numbers.";
        console.error(box.dataset.chart, error);
      }
      // The page stays usable while the charts below are drawn.
      await new Promise((resolve) => setTimeout(resolve));
    }
    root.dataset.drawn = failed ? "failed" : "yes";
  }

  // Paper is light: what was drawn in dark colours is recoloured at once, for printing waits for no drawing.
  let printing = false;
  function forPaper(on) {
    if (on === printing) return;
    printing = on;
    if (theme() !== "dark") return;
    const [from, to] = on ? ["dark", "light"] : ["light", "dark"];
    const colours = new Map(Object.entries(page.themes[from]).map(([key, colour]) => [colour, page.themes[to][key]]));
    for (const part of document.querySelectorAll("[data-chart] svg [fill], [data-chart] svg [stroke]")) {
      for (const name of ["fill", "stroke"]) {
        const other = colours.get(part.getAttribute(name));
        if (other) part.setAttribute(name, other);
      }
    }
  }
  addEventListener("beforeprint", () => forPaper(true));
  addEventListener("afterprint", () => forPaper(false));
  matchMedia("print").addEventListener("change", (event) => forPaper(event.matches));

  for (const details of document.querySelectorAll("details[data-table]")) {
    details.addEventListener("toggle", () => { if (details.open) fill(details); });
    if (details.open) fill(details);
  }
  for (const button of document.querySelectorAll("button[data-csv]")) {
    button.addEventListener("click", () => save(button.dataset.csv));
  }
  const toggle = document.getElementById("theme");
  const name = () => { toggle.textContent = theme() === "dark" ? "Light colours" : "Dark colours"; };
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    name();
    drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { name(); drawAll(); });
  name();
  window.nullgradReport = { page, csv, views, view: (chart) => views[chart] && views[chart].view };
  drawAll();
})();
