// Rows by concern. Values change in place; rows change places once a minute and never under hand or focus.
import { bare, interval, make, number, scale, text } from "./figures.js";
import { commonScale, drawing, fillSpark } from "./sparks.js";

const RESORT = 60000;

const newRow = (name, width, choose) => {
  const num = (kind = "") => make("td", { class: `num ${kind}`.trim() });
  const button = choose ? make("button", { type: "button", class: "row-name", "aria-pressed": "false" }, name) : null;
  button?.addEventListener("click", () => choose());
  const tag = make("span", { class: "tag", hidden: "" }), head = make("th", { scope: "row" }, button ?? name);
  const parts = { head, button, tag, count: num(), share: num("share"), value: make("span"), bad: num(), rate: num() };
  parts.share.append(parts.value);
  parts.whiskers = make("td", {}, drawing("interval", { "data-width": width }), make("span", { class: "vh" }));
  const { count, share, whiskers, bad, rate } = parts;
  if (choose === undefined) return { ...parts, row: make("tr", {}, head, count, share, whiskers, bad, rate) };
  head.append(" ", tag);
  const spark = drawing("spark", { viewBox: "0 0 92 20", width: 92, height: 20 });
  parts.days = make("td", {}, spark, make("span", { class: "vh" }));
  parts.estimate = make("span", { class: "estimate", hidden: "" });
  share.append(parts.estimate);
  parts.delivered = num();
  parts.cases = num();
  const { days, delivered, cases } = parts;
  return { ...parts, row: make("tr", {}, head, count, share, whiskers, days, bad, rate, delivered, cases) };
};

// A unit is better or worse than another only where the whole intervals lie apart.
const apart = ({ surely_better: better, surely_worse: worse, no_different: same }) => {
  const parts = [[better, "surely below"], [worse, "surely above"], [same, "no difference from"]], others = better + worse + same;
  return others ? `${parts.filter(([n]) => n).map(([n, words]) => `${words} ${number(n)}`).join(", ")} of ${number(others)} others` : "";
};

const share = (rate) => (rate ? bare(rate.share, rate.n) : "–");

const fillRow = (parts, unit, axis, rate) => {
  const { answers, satisfied, dissatisfied, below } = unit;
  parts.row.classList.toggle("below", below);
  parts.share.classList.toggle("below", below);
  text(parts.count, number(answers));
  text(parts.value, bare(satisfied.share, satisfied.n));
  const words = `${bare(satisfied.low, satisfied.n)} to ${bare(satisfied.high, satisfied.n)}`;
  text(parts.whiskers.lastChild, [words, below && "below all deliveries", parts.apart].filter(Boolean).join(", "));
  interval(parts.whiskers.firstChild, satisfied, { ...axis, track: false });
  text(parts.bad, bare(dissatisfied.share, dissatisfied.n));
  text(parts.rate, share(unit[rate]));
  text(parts.delivered, share(unit.response_of_delivered));
  // Few answers alone say little: beside them stands what they say together with the other units.
  const drawn = unit.estimate ?? null;
  if (parts.estimate) parts.estimate.hidden = drawn === null;
  text(parts.estimate, drawn === null ? "" : ` estimate ${bare(drawn, satisfied.n)}`);
};

const fewRow = (names, columns, counted, mark = make("span", { class: "hatched hatch" })) => make("tr", {}, make("th", { scope: "row" }, names),
  make("td", { colspan: columns - 1, class: "quiet" }, mark, counted));

// Of whom the response rates are: of those reached where receipts tell of most of everything's asked, else of those asked.
const rateOf = (figures, every) => {
  if (!figures.response_of_reached) return ["response", "asked", "Receipts tell of too few to say how many were reached."];
  const unknown = every.some((unit) => unit.response && !unit.response_of_reached);
  return ["response_of_reached", "reached", unknown ? "–: receipts tell there of too few to say how many were reached." : ""];
};

// With `choose` rows are buttons, and beside them stand two weeks, alerts, both response rates and open cases; what they
// hold `past` and the alerts tell. In `beside` stands how many others the chosen row surely differs from, in `rates` of whom rates are,
// in `estimates` what an estimate is.
export const rowTable = (table, { choose, width = 168, beside = null, rates = null, estimates = null } = {}) => {
  const body = table.tBodies[0], columns = choose ? 9 : 6;
  let rows = new Map(), sorted = 0, known = "", fewKnown = "", few = [], chosen = "", past = null;
  const touched = () => table.matches(":hover") || table.parentElement.contains(document.activeElement);

  const empty = (words) => {
    rows = new Map();
    known = fewKnown = "";
    body.replaceChildren(make("tr", {}, make("td", { colspan: columns, class: "quiet" }, words)));
  };
  const place = (shown, grouped) => {
    const order = shown.map((unit) => rows.get(unit.value).row);
    if (grouped) order.push(rows.get("").row);
    body.replaceChildren(...order, ...few);
    sorted = Date.now();
  };
  const remember = (unit, name, axis, rate) => {
    const chooses = choose && (unit.value ? () => choose(unit.value) : null);
    if (!rows.has(unit.value)) rows.set(unit.value, newRow(name, width, chooses));
    if (!unit.value) text(rows.get("").head, name);
    rows.get(unit.value).apart = unit.value ? apart(unit) : "";
    fillRow(rows.get(unit.value), unit, axis, rate);
  };
  const rememberFew = ({ hidden, grouped, unanswered = [] }, fewest) => {
    const together = grouped ? `the ${hidden.length} grouped` : "all deliveries";
    const names = hidden.filter((unit) => unit.few).map((unit) => unit.value).join(", ");
    const told = hidden.map((unit) => (unit.few
      ? `Too few answers (fewer than ${fewest}). Counted in ${together}.`
      : `Hidden with ${names}. Counted in ${together}.`));
    const now = JSON.stringify([told, names, unanswered]);
    if (fewKnown === now) return;
    fewKnown = now;
    few = hidden.map((unit, i) => fewRow(unit.value, columns, told[i]));
    few.push(...unanswered.map((value) => fewRow(value, columns, "No answers yet.", "")));
  };
  const tell = () => {
    const words = chosen && rows.get(chosen)?.apart;
    if (!beside) return;
    beside.hidden = !words;
    text(beside, words ? `${chosen}: ${words}.` : "");
  };
  const mark = () => {
    tell();
    const axis = commonScale(past?.days ?? {});
    for (const [value, { row, button, days, cases }] of rows) {
      row.classList.toggle("chosen", value !== "" && value === chosen);
      button?.setAttribute("aria-pressed", String(value === chosen));
      if (!past || !value) continue;
      fillSpark(days, past.days[value] ?? [], axis);
      text(cases, past.cases ? String(past.cases[value] ?? 0) : "");
    }
  };
  const tag = (alerts) => {
    for (const [value, row] of rows) {
      if (!row.button) continue;
      const alert = alerts.find((told) => told.value === value); // the newest stands first
      row.tag.hidden = !alert;
      text(row.tag, alert ? `alert ${alert.time}` : "");
    }
  };

  return {
    show: (units, figures, alerts = []) => {
      const { satisfied, fewest } = figures, { shown, grouped, hidden, unanswered = [] } = units, every = grouped ? [...shown, grouped] : shown;
      // Nothing was counted yet, or no more: another day or month has begun.
      if (!shown.length && !hidden.length && !unanswered.length) {
        if (known) empty("No answers yet");
        else text(body.querySelector("td"), "No answers yet");
        if (estimates) estimates.hidden = true;
        return tell();
      }
      const values = new Set(every.map((unit) => unit.value));
      for (const value of rows.keys()) if (!values.has(value)) rows.delete(value);
      // The few that are grouped have a wide interval; those above could not be told apart on its axis.
      const axis = { ...scale((shown.length ? shown : every).map((unit) => unit.satisfied)), usual: satisfied?.share ?? null };
      const [rate, of, words] = rates ? rateOf(figures, every) : ["response"];
      if (rates) text(table.querySelector("[data-rate-of]"), of);
      text(rates, words);
      if (estimates) estimates.hidden = !shown.some((unit) => unit.estimate !== null);
      for (const unit of shown) remember(unit, unit.value, axis, rate);
      if (grouped) remember(grouped, `${hidden.length} grouped`, axis, rate);
      rememberFew(units, fewest);
      tell();
      tag(alerts);
      const members = JSON.stringify([shown.map((unit) => unit.value).sort(), grouped !== null, hidden, unanswered]);
      const due = Date.now() - sorted > RESORT && !touched();
      if (members !== known || due) place(shown, grouped);
      if (members !== known) mark();
      known = members;
      return undefined;
    },
    past: (told) => { past = told; mark(); },
    choose: (value) => { chosen = value; mark(); },
    clear: (words) => {
      past = null;
      empty(words);
    },
  };
};
