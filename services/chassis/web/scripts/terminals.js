// Terminals by concern. Values change in place; rows change places once a minute and never under hand or focus.
import { bare, interval, make, number, scale, text } from "./figures.js";

const RESORT = 60000, COLUMNS = 6;
const SVG = "http://www.w3.org/2000/svg";

const newRow = (name, width) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "interval");
  svg.setAttribute("data-width", width);
  svg.setAttribute("aria-hidden", "true");
  const drawing = make("td", {}, svg, make("span", { class: "vh" }));
  return make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "num" }),
    make("td", { class: "num share" }), drawing, make("td", { class: "num" }), make("td", { class: "num" }));
};

const fillRow = (row, { answers, satisfied, dissatisfied, response, below }, axis) => {
  const [, count, share, drawing, bad, rate] = row.cells;
  row.classList.toggle("below", below);
  share.classList.toggle("below", below);
  text(count, number(answers));
  text(share, bare(satisfied.share, satisfied.n));
  const words = `${bare(satisfied.low, satisfied.n)} to ${bare(satisfied.high, satisfied.n)}`;
  text(drawing.lastChild, below ? `${words}, below all deliveries` : words);
  interval(drawing.firstChild, satisfied, { ...axis, track: false });
  text(bad, bare(dissatisfied.share, dissatisfied.n));
  text(rate, response ? bare(response.share, response.n) : "–");
};

const fewRow = (names, counted) => make("tr", {}, make("th", { scope: "row" }, names),
  make("td", { colspan: COLUMNS - 1, class: "quiet" }, make("span", { class: "hatched hatch" }), counted));

export const terminalTable = (table, width = 168) => {
  const body = table.tBodies[0], rows = new Map();
  let sorted = 0, known = "", fewKnown = "", few = [];
  const touched = () => table.matches(":hover") || table.parentElement.contains(document.activeElement);

  const place = (shown, hiddenRows) => {
    const order = shown.map((row) => rows.get(row.value));
    if (hiddenRows.grouped) order.push(rows.get(""));
    body.replaceChildren(...order, ...few);
    sorted = Date.now();
  };

  const remember = (unit, name, axis) => {
    if (!rows.has(unit.value)) rows.set(unit.value, newRow(name, width));
    text(rows.get(unit.value).cells[0], name);
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

  return {
    show: (units, { satisfied, fewest }) => {
      const { shown, grouped, hidden } = units;
      if (!shown.length && !hidden.length) return;
      const every = grouped ? [...shown, grouped] : shown;
      const axis = { ...scale(every.map((unit) => unit.satisfied)), usual: satisfied?.share ?? null };
      for (const unit of shown) remember(unit, unit.value, axis);
      if (grouped) remember(grouped, `${hidden.length} grouped`, axis);
      rememberFew(units, fewest);
      const members = JSON.stringify([shown.map((unit) => unit.value).sort(), hidden]);
      const due = Date.now() - sorted > RESORT && !touched();
      if (members !== known || due) place(shown, units);
      known = members;
    },
  };
};
