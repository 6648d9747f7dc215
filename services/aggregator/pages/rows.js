// Rows by concern. Values change in place; rows change places once a minute and never under hand or focus.
import { bare, interval, make, number, scale, text } from "./figures.js";

const RESORT = 60000, COLUMNS = 8, SVG = "http://www.w3.org/2000/svg", WIDTH = 168;

const drawing = (kind, attributes) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  return svg;
};

const newRow = (name, choose) => {
  const button = choose ? make("button", { type: "button", class: "row-name", "aria-pressed": "false" }, name) : name;
  button.addEventListener?.("click", () => choose());
  const spark = drawing("spark", { viewBox: "0 0 92 20", width: 92, height: 20 });
  return make("tr", {}, make("th", { scope: "row" }, button, " ", make("span", { class: "tag", hidden: "" })),
    make("td", { class: "num" }), make("td", { class: "num share" }),
    make("td", {}, drawing("interval", { "data-width": WIDTH }), make("span", { class: "vh" })),
    make("td", {}, spark, make("span", { class: "vh" })),
    make("td", { class: "num" }), make("td", { class: "num" }), make("td", { class: "num" }));
};

const fillRow = (row, { answers, satisfied, dissatisfied, response, below }, axis) => {
  const [, count, share, whiskers, , bad, rate] = row.cells;
  row.classList.toggle("below", below);
  share.classList.toggle("below", below);
  text(count, number(answers));
  text(share, bare(satisfied.share, satisfied.n));
  const words = `${bare(satisfied.low, satisfied.n)} to ${bare(satisfied.high, satisfied.n)}`;
  text(whiskers.lastChild, below ? `${words}, below all deliveries` : words);
  interval(whiskers.firstChild, satisfied, { ...axis, track: false });
  text(bad, bare(dissatisfied.share, dissatisfied.n));
  text(rate, response ? bare(response.share, response.n) : "–");
};

// Fourteen days on a scale that all rows share; a day that is hidden leaves a gap.
const fillSpark = (cell, days, [from, to]) => {
  const known = days.map((share, i) => [i, share]).filter(([, share]) => share !== null);
  const at = ([i, share]) => `${(3 + (i * 86) / 13).toFixed(1)} ${(17 - (14 * (share - from)) / (to - from)).toFixed(1)}`;
  const path = known.map((point, k) => (k && known[k - 1][0] === point[0] - 1 ? "L" : "M") + at(point)).join("");
  const line = document.createElementNS(SVG, "path"), dot = document.createElementNS(SVG, "circle");
  line.setAttribute("class", "line");
  line.setAttribute("d", path || "M0 0");
  if (known.length) {
    const [x, y] = at(known.at(-1)).split(" ");
    for (const [name, value] of Object.entries({ class: "dot", cx: x, cy: y, r: 2.5 })) dot.setAttribute(name, value);
  }
  cell.firstChild.replaceChildren(line, ...(known.length ? [dot] : []));
  text(cell.lastChild, known.length > 1 ? `from ${bare(known[0][1], 100)} to ${bare(known.at(-1)[1], 100)}` : "");
};

const commonScale = (days) => {
  const every = Object.values(days).flat().filter((share) => share !== null);
  if (!every.length) return [0, 1];
  const from = Math.min(...every), to = Math.max(...every);
  return to - from < 0.05 ? [to - 0.05, to] : [from, to];
};

const fewRow = (names, counted) => make("tr", {}, make("th", { scope: "row" }, names),
  make("td", { colspan: COLUMNS - 1, class: "quiet" }, make("span", { class: "hatched hatch" }), counted));

export const rowTable = (table, choose) => {
  const body = table.tBodies[0];
  let rows = new Map(), sorted = 0, known = "", fewKnown = "", few = [], chosen = "", past = null;
  const touched = () => table.matches(":hover") || table.parentElement.contains(document.activeElement);

  const place = (shown, grouped) => {
    const order = shown.map((row) => rows.get(row.value));
    if (grouped) order.push(rows.get(""));
    body.replaceChildren(...order, ...few);
    sorted = Date.now();
  };
  const remember = (unit, name, axis) => {
    if (!rows.has(unit.value)) rows.set(unit.value, newRow(name, unit.value ? () => choose(unit.value) : null));
    if (!unit.value) text(rows.get("").cells[0], name);
    fillRow(rows.get(unit.value), unit, axis);
  };
  const rememberFew = ({ hidden, grouped }, fewest) => {
    const together = grouped ? `the ${hidden.length} grouped` : "all deliveries";
    const names = hidden.filter((unit) => unit.few).map((unit) => unit.value).join(", ");
    const told = hidden.map((unit) => (unit.few
      ? `Too few answers (fewer than ${fewest}). Counted in ${together}.`
      : `Hidden with ${names}. Counted in ${together}.`));
    if (fewKnown === told.join() + names) return;
    fewKnown = told.join() + names;
    few = hidden.map((unit, i) => fewRow(unit.value, told[i]));
  };
  const mark = () => {
    const axis = commonScale(past?.days ?? {});
    for (const [value, row] of rows) {
      row.classList.toggle("chosen", value !== "" && value === chosen);
      row.querySelector("button")?.setAttribute("aria-pressed", String(value === chosen));
      if (!past || !value) continue;
      fillSpark(row.cells[4], past.days[value] ?? [], axis);
      text(row.cells[7], past.cases ? String(past.cases[value] ?? 0) : "");
      const tag = row.querySelector(".tag"), alert = past.alerts[value];
      tag.hidden = !alert;
      text(tag, alert ? `alert ${alert}` : "");
    }
  };

  return {
    show: (units, { satisfied, fewest }) => {
      const { shown, grouped, hidden } = units, every = grouped ? [...shown, grouped] : shown;
      if (!shown.length && !hidden.length) return text(body.querySelector("td"), "No answers yet");
      const axis = { ...scale(every.map((unit) => unit.satisfied)), usual: satisfied?.share ?? null };
      for (const unit of shown) remember(unit, unit.value, axis);
      if (grouped) remember(grouped, `${hidden.length} grouped`, axis);
      rememberFew(units, fewest);
      const members = JSON.stringify([shown.map((unit) => unit.value).sort(), hidden]);
      const due = Date.now() - sorted > RESORT && !touched();
      if (members !== known || due) place(shown, grouped);
      if (members !== known) mark();
      known = members;
      return undefined;
    },
    past: (told) => { past = told; mark(); },
    choose: (value) => { chosen = value; mark(); },
    clear: (words) => {
      rows = new Map();
      known = fewKnown = "";
      past = null;
      body.replaceChildren(make("tr", {}, make("td", { colspan: COLUMNS, class: "quiet" }, words)));
    },
  };
};
