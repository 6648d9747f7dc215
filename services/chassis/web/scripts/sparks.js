// Two weeks of a row as a small line, on a scale that all rows share; a day that is hidden leaves a gap.
import { bare, text } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";

export const drawing = (kind, attributes) => {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  return svg;
};

export const fillSpark = (cell, days, [from, to]) => {
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

export const commonScale = (days) => {
  const every = Object.values(days).flat().filter((share) => share !== null);
  if (!every.length) return [0, 1];
  const from = Math.min(...every), to = Math.max(...every);
  return to - from < 0.05 ? [to - 0.05, to] : [from, to];
};
