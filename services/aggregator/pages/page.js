// The live page: figures, line and terminals from the event stream; the ledger from the notifier, where it is there.
import { lineChart } from "./chart.js";
import { bare, clock, exact, face, interval, make, number, percent, range, scale, text } from "./figures.js";
import { follow } from "./live.js";
import { showLedger } from "./ledger.js";
import { terminalTable } from "./terminals.js";

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WORDS = ["Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied"];
let skew = 0;
const chart = lineChart(byId("line"), { now: () => Date.now() / 1000 - skew });
const terminals = terminalTable(byId("terminals"));

const fill = (id, value, note, { few = false, none = false } = {}) => {
  const figure = byId(id), lead = figure.querySelector("[data-value]");
  text(lead, value);
  lead.classList.toggle("few", few);
  lead.classList.toggle("none", none);
  figure.querySelector(".drawing").classList.toggle("hatched", few);
  if (typeof note === "string") text(figure.querySelector("[data-note]"), note);
  else figure.querySelector("[data-note]").replaceChildren(note);
};

const share = (id, value, figures, more = "") => {
  const few = figures.too_few, svg = byId(id).querySelector("[data-interval]");
  interval(svg, value, scale([value]));
  if (few) return fill(id, "Too few answers", `Fewer than ${figures.fewest}`, { few });
  if (!value) return fill(id, "–", id === "response" ? "None answered yet" : "No answers yet", { none: true });
  const n = value.n < 100 ? `, ${number(value.n)} ${id === "response" ? "asked" : "answers"}` : "";
  return fill(id, percent(value.share, value.n), `${range(value)}${n}${more}`);
};

const distribution = (figures) => {
  const svg = document.querySelector("[data-distribution]"), parts = figures.distribution ?? [];
  let x = 0;
  svg.replaceChildren(...parts.map((part, i) => {
    const rect = document.createElementNS(SVG, "rect"), width = part * (196 - 8);
    for (const [key, value] of Object.entries({ class: `s${i + 1}`, x, y: 0, width, height: 12 })) rect.setAttribute(key, value);
    x += width + 2;
    return rect;
  }));
  const words = document.querySelectorAll("#answers [data-note] .mix").length;
  const mix = make("span", { class: "mix" }, ...parts.map((part, i) =>
    make("span", {}, face(i + 1, 16), make("span", { class: "vh" }, `${WORDS[i]} `),
      i < 4 ? bare(part, figures.answers) : percent(part, figures.answers))));
  if (figures.too_few) return fill("answers", "Too few answers", `Fewer than ${figures.fewest}`, { few: true });
  if (!figures.answers) return fill("answers", "–", "No answers yet", { none: true });
  if (words && mix.textContent === document.querySelector("#answers .mix").textContent) {
    return text(document.querySelector("#answers [data-value]"), number(figures.answers));
  }
  return fill("answers", number(figures.answers), mix);
};

const freshness = (fresh) => {
  if (!fresh) return fill("freshness", "–", "Nothing counted for 15 min", { none: true });
  return fill("freshness", exact(fresh.median), `Median. Slowest 1\u00a0% ${exact(fresh.slowest)}`);
};

const funnel = (total, figures) => {
  if (!total) return;
  const before = { asked: "delivered", answers: "asked", commented: "answers" };
  for (const row of byId("funnel").rows) {
    const { key } = row.dataset, n = total[key], of = total[before[key]];
    const few = figures.too_few && (key === "answers" || key === "commented");
    text(row.querySelector("[data-count]"), few ? "too few" : number(n));
    row.querySelector("rect").setAttribute("width", few || !total.delivered ? 0 : (100 * n) / total.delivered);
    const words = of && n && n <= of && !few ? `${percent(n / of, of)} of ${before[key] === "answers" ? "answered" : before[key]}` : "";
    text(row.querySelector("[data-of]"), words);
  }
};

const words = () => {
  const last = chart.points().at(-1);
  if (!last) return text(byId("line-words"), "No answers in the last four minutes.");
  const place = last[1] < last[2] ? "below" : last[1] > last[3] ? "above" : "inside";
  return text(byId("line-words"), `The satisfied share is ${percent(last[1], 100)}, ${place} the expected range.`);
};

const table = () => {
  if (byId("line-table").hidden) return;
  const rows = chart.points().slice().reverse().map(([t, level, low, high, , n]) => make("tr", {},
    make("td", {}, clock(new Date(t * 1000))), make("td", { class: "num" }, bare(level, 100)),
    make("td", { class: "num" }, `${bare(low, 100)}–${bare(high, 100)}`), make("td", { class: "num" }, number(n))));
  byId("line-table").querySelector("tbody").replaceChildren(...rows);
};

const show = ({ figures, total, terminals: rows, freshness: fresh, line }) => {
  const of = figures.response_of_delivered;
  share("satisfied", figures.satisfied, figures);
  share("dissatisfied", figures.dissatisfied, figures);
  share("response", figures.response, figures, of === null ? "" : `. Of delivered ${percent(of, figures.answers)}`);
  distribution(figures);
  freshness(fresh);
  funnel(total, figures);
  terminals.show(rows, figures);
  chart.add(line);
};

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let shown = 0;
const gently = (event) => {
  // Without motion live numbers change once a second; otherwise as they come, four times a second at most.
  if (calm.matches && Date.now() - shown < 1000) return chart.add(event.line);
  shown = Date.now();
  return show(event);
};

byId("as-table").addEventListener("click", (event) => {
  event.preventDefault();
  const region = byId("line-table");
  region.hidden = !region.hidden;
  event.target.setAttribute("aria-expanded", String(!region.hidden));
  text(event.target, region.hidden ? "Show as table" : "Hide the table");
  table();
});
byId("as-table").addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); event.target.click(); } });

follow("/live/events", gently, {
  stamp: byId("stamp"),
  connection: document.querySelector(".connection[role=status]"),
  onSkew: (by) => { skew = by; },
});
setInterval(words, 5000);
setInterval(table, 2000);
showLedger(byId("ledger"));
