// The live page: figures, line, rows and reasons from the event stream; comments from the survey service, where it is there. What is looked at stands in the address.
import { alertList } from "./alerts.js";
import { lineChart } from "./chart.js";
import { bare, clock, exact, face, interval, make, number, percent, range, scale, text } from "./figures.js";
import { follow } from "./live.js";
import { drawReasons } from "./ledger.js";
import { rowTable } from "./rows.js";
import { showComments } from "./comments.js";
import { viewOf } from "./view.js";

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WORDS = ["Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied"];
let skew = 0;
const now = () => Date.now() / 1000 - skew;
let disruptions = [];
let usual = null, zone = "UTC", live = null, comments = null;
const view = viewOf(byId("filters"), () => look());
// The row whose line is shown; empty for that of everything.
const lineRow = () => (byId("which").dataset.shows === "all" ? "" : view.row());
const alerts = alertList(byId("alerts"), {
  row: lineRow,
  page: (value) => (view.get("rows") === "terminal" ? `/terminals/${encodeURIComponent(value)}` : null),
});
const newLine = () => lineChart(byId("line"), { now, rains: () => disruptions, alerts: () => alerts.marks() });
let chart = newLine();
const terminals = rowTable(byId("terminals"), {
  choose: (value) => view.choose(value === view.row() ? "" : value),
  beside: byId("apart-words"), rates: byId("rate-words"), estimates: byId("estimate-words"),
});

const fill = (id, value, note, { few = false, none = false } = {}) => {
  const figure = byId(id), lead = figure.querySelector("[data-value]");
  text(lead, value);
  lead.classList.toggle("few", few);
  lead.classList.toggle("none", none);
  figure.querySelector(".drawing").classList.toggle("hatched", few);
  if (typeof note === "string") text(figure.querySelector("[data-note]"), note);
  else figure.querySelector("[data-note]").replaceChildren(note);
};

// "Usual" are the same weekdays of eight weeks; a difference is told only where the intervals lie apart.
const beside = (id, value) => {
  const before = view.get("compare") === "weeks" ? usual?.[id] : null;
  if (!before || !value) return { words: "", loud: false, at: null };
  const told = bare(before.share, before.n), at = before.share;
  if (value.low > before.high) return { words: `Above usual, ${told}`, loud: id === "dissatisfied", at };
  if (value.high < before.low) return { words: `Below usual, ${told}`, loud: id === "satisfied", at };
  return { words: `No difference from usual, ${told}`, loud: false, at };
};

const share = (id, value, figures, more = "") => {
  const few = figures.too_few, svg = byId(id).querySelector("[data-interval]"), { words, loud, at } = beside(id, value);
  interval(svg, value, { ...scale([value, at === null ? null : { low: at, high: at }]), usual: at });
  if (few) return fill(id, "Too few answers", `Fewer than ${figures.fewest}`, { few });
  if (!value) return fill(id, "–", id === "response" ? "None answered yet" : "No answers yet", { none: true });
  const n = value.n < 100 ? `, ${number(value.n)} ${id === "response" ? (figures.response_of_reached ? "reached" : "asked") : "answers"}` : "";
  const said = make(loud ? "strong" : "span", { class: loud ? "loud" : "" }, words);
  return fill(id, percent(value.share, value.n), words ? make("span", {}, `${range(value)}${n}. `, said) : `${range(value)}${n}${more}`);
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
  const path = byId("freshness").querySelector(".pulse path"), recent = fresh?.recent ?? [], top = Math.max(0.001, ...recent);
  path.setAttribute("d", recent.map((age, i) => `${i ? "L" : "M"}${((i * 190) / 59 + 1).toFixed(1)} ${(14 - (12 * age) / top).toFixed(1)}`).join("") || "M0 0");
  if (!fresh) return fill("freshness", "–", "Nothing counted for 15 min", { none: true });
  return fill("freshness", exact(fresh.median), `Median. Slowest 1\u00a0% ${exact(fresh.slowest)}`);
};

const NAMES = { delivered: "delivered", asked: "asked", reached: "reached", opened: "opened", answers: "answered" };
const NOTHING = { delivered: 0, asked: 0, suppressed: 0, pending: 0, failed: 0, reached: 0, opened: 0, answers: 0, commented: 0 };
const funnel = (counted, figures) => {
  const total = counted ?? NOTHING; // a day or month that has just begun
  let before = "";
  for (const row of byId("funnel").rows) {
    const { key } = row.dataset, n = total[key], of = total[before];
    // Without receipts or gestures nobody knows; a row of noughts would say that nobody was reached.
    row.hidden = n === undefined || (n === 0 && ["reached", "opened"].includes(key));
    if (row.hidden) continue;
    const few = n === null; // the server tells no number of too few
    text(row.querySelector("[data-count]"), few ? "too few" : number(n));
    row.querySelector("rect").setAttribute("width", few || !total.delivered ? 0 : (100 * n) / total.delivered);
    const words = of && n && n <= of && !few ? `${percent(n / of, of)} of ${NAMES[before]}` : "";
    text(row.querySelector("[data-of]"), words);
    before = key;
  }
  const { delivered, asked, suppressed, pending, failed } = total, gap = delivered - asked - suppressed - pending - failed;
  byId("sum").hidden = delivered === 0;
  byId("sum").classList.toggle("gap", gap !== 0);
  const sum = `${number(delivered)} = ${number(asked)} asked + ${number(suppressed)} not + ${number(pending)} waiting + ${number(failed)} failed`;
  text(byId("sum"), gap === 0 ? sum : `${sum}. ${number(Math.abs(gap))} ${gap > 0 ? "missing" : "too many"}`);
};

// Answers that count in no figure above, and what the share would be with those that look like a machine's.
const APART = { machine: "by suspected machines", uninvited: "uninvited", other_party: "about other parties", unknown: "others" };
const apart = ({ answers, raw } = { answers: {} }, figures) => {
  const parts = Object.entries(answers).map(([series, n]) => `${n === null ? `fewer than ${figures.fewest}` : number(n)} ${APART[series] ?? series}`);
  byId("apart").hidden = !parts.length;
  const both = raw ? ` With the suspected ones ${percent(raw.share, raw.n)} would be satisfied.` : "";
  text(byId("apart"), `Kept apart: ${parts.join(", ")}.${both}`);
};

const words = () => {
  const last = chart.points().at(-1);
  if (!last) return text(byId("line-words"), "No answers in the last four minutes.");
  const place = last[1] < last[2] ? "below" : last[1] > last[3] ? "above" : "inside";
  return text(byId("line-words"), `The satisfied share is ${percent(last[1], 100)}, ${place} the expected range.${disruptions.map(([, , words]) => ` ${words}.`).join("")}${alerts.words()}`);
};

const table = () => {
  if (byId("line-table").hidden) return;
  const rows = chart.points().slice().reverse().map(([t, level, low, high, , n]) => make("tr", {},
    make("td", {}, clock(new Date(t * 1000))), make("td", { class: "num" }, bare(level, 100)),
    make("td", { class: "num" }, `${bare(low, 100)}–${bare(high, 100)}`), make("td", { class: "num" }, number(n))));
  byId("line-table").querySelector("tbody").replaceChildren(...rows);
};

// Day and span in words, on the clock of the deliveries.
const scopeWords = ({ span, zone: of }, at) => {
  zone = of;
  const day = new Date(at), say = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: of, ...options }).format(day);
  const place = of.split("/").at(-1).replaceAll("_", " ");
  const until = say({ hour: "2-digit", minute: "2-digit" });
  const words = { today: `${say({ weekday: "long", day: "numeric", month: "long" })}, 00:00–${until} ${place} time`,
    month: `${say({ month: "long", year: "numeric" })} until now`, all: "everything counted so far" };
  text(byId("scope-words"), words[span]);
};

let latest = null;
// How many cases wait stands beside their link, as on every page of staff.
const casesInNav = (n) => {
  const link = document.querySelector('nav a[href="/cases"]');
  const count = link.querySelector(".count") ?? link.appendChild(make("span", { class: "count" }));
  count.hidden = n === 0;
  text(count, number(n));
};

const reasons = (byReason, total) => {
  const known = Object.values(byReason ?? {}).some((n) => n > 0);
  byId("ledger").hidden = !known;
  if (known) drawReasons(byId("ledger"), byReason, total.suppressed);
};

const show = (event) => {
  latest = event;
  const { figures, total, terminals: rows, freshness: fresh, line, scope, now: at } = event;
  const of = figures.response_of_delivered;
  scopeWords(scope, at);
  share("satisfied", figures.satisfied, figures);
  share("dissatisfied", figures.dissatisfied, figures);
  const reached = figures.response_of_reached;
  text(byId("response").querySelector("dt"), `Response rate, of ${reached ? "reached" : "asked"}`);
  share("response", reached ?? figures.response, figures, of === null ? "" : `. Of delivered ${percent(of, figures.answers)}`);
  distribution(figures);
  freshness(fresh);
  funnel(total, figures);
  reasons(event.reasons, total);
  apart(event.apart, figures);
  alerts.show(event.alerts);
  terminals.show(rows, figures, event.alerts);
  if (!lineRow()) chart.add(line);
};

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let shown = 0;
const gently = (event) => {
  // Without motion live numbers change once a second; otherwise as they come, four times a second at most.
  if (calm.matches && Date.now() - shown < 1000) {
    if (!view.row()) chart.add(event.line);
    return undefined;
  }
  shown = Date.now();
  return show(event);
};

// The line is that of everything, or of the row that is chosen.
const newChart = () => {
  byId("line").replaceChildren();
  chart = newLine();
};
const titles = () => {
  const row = view.row(), which = byId("which"), all = !lineRow();
  which.hidden = !row;
  text(byId("line-title"), `${all ? "All deliveries" : row}, satisfied %, last 4 minutes`);
  const [first, second] = which.querySelectorAll("button");
  text(second, row);
  first.setAttribute("aria-pressed", String(all));
  second.setAttribute("aria-pressed", String(!all));
  const page = byId("row-page");
  page.hidden = view.get("rows") !== "terminal" || !row;
  page.href = `/terminals/${encodeURIComponent(row)}`;
  text(byId("scope-title"), `${view.get("method") ? view.label("method") : "All deliveries"}, ${view.label("span").toLowerCase()}`);
  text(byId("rows-name"), view.get("method") ? "Terminal" : view.label("rows"));
};
let looked = "";
const look = () => {
  const address = view.address("/live/events");
  titles();
  terminals.choose(view.row());
  const scope = ["span", "rows", "method"].map(view.get).join();
  const before = looked;
  if (looked && scope !== looked) terminals.clear("Loading");
  looked = scope;
  newChart();
  if (scope === before) {
    if (latest) show({ ...latest, line: [] });
  } else {
    usual = latest = null;
    alerts.show([]);
  }
  live?.to(address);
  comments?.again();
};
byId("which").addEventListener("click", (event) => {
  const { row } = event.target.dataset;
  if (row === undefined) return;
  byId("which").dataset.shows = row ? "row" : "all";
  titles();
  newChart();
  alerts.again();
  live.to(view.address("/live/events"));
});

byId("as-table").addEventListener("click", (event) => {
  event.preventDefault();
  const region = byId("line-table");
  region.hidden = !region.hidden;
  event.target.setAttribute("aria-expanded", String(!region.hidden));
  text(event.target, region.hidden ? "Show as table" : "Hide the table");
  table();
});
byId("as-table").addEventListener("keydown", (event) => { if (event.key === " ") { event.preventDefault(); event.target.click(); } });

titles();
looked = ["span", "rows", "method"].map(view.get).join();
terminals.choose(view.row());
live = follow(view.address("/live/events"), gently, {
  stamp: byId("stamp"),
  connection: document.querySelector(".connection[role=status]"),
  onSkew: (by) => { skew = by; },
  also: {
    past: (told) => {
      usual = told.usual;
      disruptions = (told.disruptions ?? []).map(({ kind, countries, from, until }) =>
        [from, until, `Disruption: ${kind}, ${countries.join(", ")}`]);
      terminals.past(told);
      casesInNav(told.open_cases);
      if (latest) show({ ...latest, line: [] });
      chart.redraw();
    },
    row: ({ value, line }) => { if (value === lineRow()) chart.add(line); },
  },
});
setInterval(words, 5000);
setInterval(table, 2000);

const pause = byId("pause");
pause.addEventListener("click", () => {
  const paused = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(paused));
  text(pause, paused ? "Go on" : "Pause");
});
comments = showComments(byId("comments"),
  () => (view.get("rows") === "terminal" && view.row() ? `/comments/latest?terminal=${encodeURIComponent(view.row())}` : "/comments/latest"),
  { note: byId("new-comments"), paused: () => pause.getAttribute("aria-pressed") === "true" });
