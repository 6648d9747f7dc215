// Numbers in words and intervals as drawings. Values come from the server; nothing is computed here.
const SVG = "http://www.w3.org/2000/svg";
const whole = new Intl.NumberFormat("en");
const rounded = [0, 1].map((digits) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const clockOf = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const number = (n) => whole.format(n);
// One decimal from 100 answers, none below.
const points = (share, n) => rounded[n >= 100 ? 1 : 0].format(share * 100);
export const percent = (share, n) => `${points(share, n)}\u00a0%`;
export const bare = points;
export const range = ({ low, high, n }) => `${points(low, n)}–${points(high, n)}`;
export const clock = (date) => clockOf.format(date);

export const seconds = (value) => `${value < 10 ? rounded[1].format(value) : whole.format(Math.round(value))}\u00a0s`;
export const exact = (value) =>
  value < 10 ? `${value.toFixed(2)}\u00a0s` : value < 120 ? `${Math.round(value)}\u00a0s` : minutes(value);
const minutes = (value) => value < 3600
  ? `${Math.floor(value / 60)}\u00a0min`
  : `${Math.floor(value / 3600)}\u00a0h ${Math.floor((value % 3600) / 60)}\u00a0min`;

export const text = (element, words) => {
  if (element && element.textContent !== words) element.textContent = words;
};

export const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const shape = (name, attributes) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

// The five faces come from the sprite in the page.
export const face = (score, size) => {
  const svg = shape("svg", { class: "face", width: size, height: size, "aria-hidden": "true", focusable: "false" });
  svg.append(shape("use", { href: `#face${score}` }));
  return svg;
};

// An interval on a track: line 1.75, caps 8 high, dot r 4; the dashed tick is the usual value.
export const interval = (svg, share, { from = 0, to = 1, usual = null, track = true } = {}) => {
  const width = Number(svg.dataset.width), middle = 8;
  const at = (value) => 5 + (width - 10) * Math.min(1, Math.max(0, (value - from) / (to - from)));
  const parts = [];
  if (track) parts.push(shape("path", { class: "track", d: `M0 ${middle}H${width}` }));
  if (usual !== null) parts.push(shape("path", { class: "usual", d: `M${at(usual)} 0V16` }));
  if (share) {
    const ends = [share.low, share.high], [low, high] = ends.map((end) => at(end).toFixed(1));
    // An end beyond the axis has no cap: the line goes on.
    const caps = ends.map((end) => (end < from || end > to ? "" : `M${at(end).toFixed(1)} 4V12`)).join("");
    parts.push(
      shape("path", { class: "whisker", d: `M${low} ${middle}H${high}${caps}` }),
      shape("circle", { class: "dot", cx: at(share.share).toFixed(1), cy: middle, r: 4 }),
    );
  }
  svg.setAttribute("viewBox", `0 0 ${width} 16`);
  svg.replaceChildren(...parts);
};

// A window on the axis, so that a narrow interval can still be read: wide enough, in steps of ten per cent.
export const scale = (shares) => {
  const known = shares.filter(Boolean);
  if (!known.length) return { from: 0, to: 1 };
  const from = Math.floor(Math.min(...known.map((s) => s.low)) * 10 - 0.2) / 10;
  const to = Math.ceil(Math.max(...known.map((s) => s.high)) * 10 + 0.2) / 10;
  return { from: Math.max(0, from), to: Math.min(1, to) };
};
