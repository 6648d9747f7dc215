// Live results: the aggregator's own event stream, with every number beside its interval or its age.
import { lineChart } from "./chart.js";
import { exact, interval, number, percent, range, scale, text } from "./figures.js";
import { follow } from "./live.js";
import { rowTable } from "./rows.js";

const COLUMN = 7.5; // rem, as the style has it
const byId = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const fill = (id, value, note, look = "") => {
  const figure = byId(id), lead = figure.querySelector("[data-value]");
  text(lead, value);
  text(figure.querySelector("[data-note]"), note);
  for (const name of ["few", "none"]) lead.classList.toggle(name, look === name);
  figure.querySelector(".drawing")?.classList.toggle("hatched", look === "few");
};

const share = (id, value, { too_few: few, fewest }) => {
  interval(byId(id).querySelector("[data-interval]"), value, scale([value]));
  if (few) return fill(id, "Too few answers", `Fewer than ${fewest}`, "few");
  if (!value) return fill(id, "–", "No answers yet", "none");
  return fill(id, percent(value.share, value.n), `${range(value)}${value.n < 100 ? `, ${value.n} answers` : ""}`);
};

const freshness = (fresh) => (fresh
  ? fill("freshness", exact(fresh.median), `median; slowest 1\u00a0% ${exact(fresh.slowest)}`)
  : fill("freshness", "–", "nothing counted lately", "none"));

const bars = (total, figures) => {
  const counts = figures.distribution && total ? total.scores : [], most = Math.max(1, ...counts);
  [...byId("scores").children].forEach((place, i) => {
    const n = counts[i], height = n ? Math.max(2, (100 * n) / most) : 0, bar = place.querySelector("rect");
    bar.setAttribute("y", 100 - height);
    bar.setAttribute("height", height);
    place.style.setProperty("--drop", `${(COLUMN * (100 - height)) / 100}rem`);
    text(place.querySelector("[data-count]"), n === undefined ? "–" : number(n));
    text(place.querySelector("[data-share]"), n === undefined ? "" : percent(figures.distribution[i], figures.answers));
  });
};

const words = (points) => {
  const last = points.at(-1);
  if (!last) return "No answers in the last four minutes.";
  const place = last[1] < last[2] ? "below" : last[1] > last[3] ? "above" : "inside";
  return `The satisfied share is ${percent(last[1], 100)}, ${place} the expected range. The dashboard shows it as a table.`;
};

export const results = () => {
  let skew = 0, shown = 0;
  const rains = [], now = () => Date.now() / 1000 - skew;
  const chart = lineChart(byId("line"), { ago: true, rains: () => rains, now });
  const terminals = rowTable(byId("terminals"), { width: 120 });
  const show = ({ figures, total, terminals: units, freshness: fresh, line }) => {
    chart.add(line);
    if (calm.matches && Date.now() - shown < 1000) return;
    shown = Date.now();
    share("satisfied", figures.satisfied, figures);
    share("dissatisfied", figures.dissatisfied, figures);
    freshness(fresh);
    bars(total, figures);
    terminals.show(units, figures);
  };
  const live = follow("/live/events?span=all", show, {
    stamp: byId("stamp"), connection: byId("connection"), onSkew: (by) => { skew = by; },
  });
  setInterval(() => text(byId("line-words"), words(chart.points())), 5000);
  return {
    rain: (on) => {
      const last = rains.at(-1), falls = last && last[1] === null;
      if (on && !falls) rains.push([now(), null, "Disruption: rain"]);
      if (!on && falls) last[1] = now();
    },
    // The counter stands still while the demo goes on: say how far behind it is, and that nothing is lost.
    stopped: (waiting) => live.tell(waiting === null ? null : {
      words: `Stopped, ${number(waiting)} answers behind.`,
      more: "Answers are safe; these numbers stand still.",
      heard: "The aggregator is stopped. Answers are safe.",
    }),
    retry: () => live.retry(),
  };
};
