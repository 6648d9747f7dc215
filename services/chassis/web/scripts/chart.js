// The live line: share in ink, control band, the part outside in falu; answers per window as bars below.
const { uPlot } = window;
const SPAN = 240, ROOM_FOR_BARS = 0.28;
const BARS_OF_ROOM = 0.64; // so that their highest number keeps clear of the lowest percentage
// Series in the order they are painted; points come as (time, share, low, high, usual, answers).
const ORDER = [0, 3, 2, 4, 1, 5], SHARE = 4;
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "ink3", "edge", "grid", "line", "band", "falu", "s2", "text"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

const percentAxis = (paint) => ({
  stroke: () => paint.ink3, font: `11px ${paint.text}`, size: 34, gap: 6,
  grid: { stroke: () => paint.grid, width: 1 }, ticks: { show: false },
  values: (_, marks) => marks.map((v) => Math.round(v * 100)),
  splits: (_u, _i, low, high) => {
    const step = high - low > 0.5 ? 0.2 : high - low > 0.2 ? 0.1 : 0.04, marks = [];
    const bottom = low + (high - low) * (ROOM_FOR_BARS / (1 + ROOM_FOR_BARS));
    for (let v = Math.ceil(bottom / step - 1e-9) * step; v <= high + 1e-9; v += step) marks.push(v);
    return marks;
  },
});

const timeAxis = (paint, ago) => ({
  stroke: () => paint.ink3, font: `11px ${paint.text}`, size: 28, gap: 8, grid: { show: false }, ticks: { show: false },
  splits: (u) => [0, 1, 2, 3, 4].map((part) => u.scales.x.min + (part * SPAN) / 4),
  values: (u, marks) => marks.map((t) => {
    const minutes = Math.round((u.scales.x.max - t) / 60);
    if (!ago) return new Date(t * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    return minutes === 0 ? "now" : minutes % 2 ? "" : `${minutes} min${minutes === 4 ? " ago" : ""}`;
  }),
});

// Room for the line and its band, in whole steps, so that the axis does not creep with every point.
const shareRange = (_u, low, high) => {
  if (low === null || low === undefined) return [-ROOM_FOR_BARS, 1];
  const from = Math.floor((low - 0.02) * 20) / 20, to = Math.ceil((high + 0.02) * 20) / 20;
  const bottom = Math.max(0, from), top = Math.min(1, Math.max(to, from + 0.1));
  return [bottom - (top - bottom) * ROOM_FOR_BARS, top]; // the strip below the line belongs to the bars
};

const outside = (u, paint, from, to) => {
  const [times, highs, lows, , shares] = u.data, { ctx } = u, at = (i) => [
    u.valToPos(times[i], "x", true), u.valToPos(shares[i], "share", true)];
  const out = (i) => shares[i] < lows[i] || shares[i] > highs[i];
  ctx.save();
  ctx.strokeStyle = paint.falu;
  ctx.lineWidth = 2.5 * devicePixelRatio;
  ctx.beginPath();
  for (let i = Math.max(1, from); i <= to; i += 1) {
    if (!out(i)) continue;
    ctx.moveTo(...at(i - 1));
    ctx.lineTo(...at(i));
  }
  ctx.stroke();
  ctx.restore();
};

const marks = (u, paint, rains) => {
  const { ctx } = u, times = u.data[0], ratio = devicePixelRatio;
  if (!times.length) return;
  const last = times.length - 1, share = u.data[SHARE][last];
  const x = u.valToPos(times[last], "x", true), y = u.valToPos(share, "share", true);
  ctx.save();
  ctx.fillStyle = paint.ink;
  ctx.beginPath();
  ctx.arc(x, y, 3 * ratio, 0, 7);
  ctx.fill();
  ctx.font = `600 ${12 * ratio}px ${paint.text}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillText((share * 100).toFixed(1), x + 8 * ratio, y);
  ctx.font = `${11 * ratio}px ${paint.text}`;
  ctx.textBaseline = "bottom";
  for (const [from, to, words] of rains) {
    const [a, b] = [from, to ?? u.scales.x.max].map((t) => u.valToPos(Math.max(t, u.scales.x.min), "x", true));
    if (b <= u.bbox.left) continue;
    ctx.fillStyle = paint.s2;
    ctx.fillRect(a, u.bbox.top - 6 * ratio, Math.max(b - a, 2 * ratio), 4 * ratio);
    ctx.fillStyle = paint.ink3;
    ctx.fillText(words, Math.min(a, u.bbox.left + u.bbox.width - ctx.measureText(words).width), u.bbox.top - 8 * ratio);
  }
  ctx.restore();
};

// An alert: a triangle on the line, a leader and its words. What is older than the line stands beside the chart only.
const WORDS_FOR = 3;
const alertMarks = (u, paint, alerts) => {
  const { ctx, bbox } = u, ratio = devicePixelRatio, [times] = u.data, shares = u.data[SHARE];
  const here = alerts.filter(([t]) => t > u.scales.x.min && t <= u.scales.x.max);
  ctx.save();
  ctx.fillStyle = ctx.strokeStyle = paint.falu;
  ctx.lineWidth = 1.5 * ratio;
  ctx.font = `600 ${12 * ratio}px ${paint.text}`;
  ctx.textBaseline = "middle";
  here.forEach(([t, words], i) => {
    const after = times.findIndex((at) => at >= t), at = after < 0 ? times.length - 1 : after;
    const x = u.valToPos(t, "x", true), y = at < 0 ? bbox.top + bbox.height / 3 : u.valToPos(shares[at], "share", true);
    const end = Math.min(y + (28 + 16 * i) * ratio, bbox.top + bbox.height * 0.75);
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x - 6 * ratio, y - 10 * ratio);
    ctx.lineTo(x + 6 * ratio, y - 10 * ratio);
    ctx.fill();
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x, end);
    ctx.stroke();
    if (i >= WORDS_FOR) return;
    const fits = x - 6 * ratio - ctx.measureText(words).width > bbox.left;
    ctx.textAlign = fits ? "right" : "left";
    ctx.fillText(words, x + (fits ? -6 : 6) * ratio, end);
  });
  ctx.restore();
};

// The bars' own axis: nothing, and the most of a window.
const barAxis = (u, paint) => {
  const { ctx } = u, ratio = devicePixelRatio, most = Math.max(0, ...u.data[u.data.length - 1]);
  if (!most) return;
  ctx.save();
  ctx.fillStyle = paint.ink3;
  ctx.font = `${11 * ratio}px ${paint.text}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const n of [0, most]) ctx.fillText(String(n), u.bbox.left - 6 * ratio, u.valToPos(n, "answers", true));
  ctx.restore();
};

const options = (paint, size, { ago, rains, alerts, now }) => ({
  ...size, cursor: { show: false }, legend: { show: false }, select: { show: false }, padding: [22, 42, 0, 0],
  scales: {
    x: { time: false, range: () => { const to = now(); return [to - SPAN, to]; } },
    share: { range: shareRange },
    answers: { range: (_u, _low, high) => [0, (Math.max(1, high) * (1 + ROOM_FOR_BARS)) / (BARS_OF_ROOM * ROOM_FOR_BARS)] },
  },
  axes: [timeAxis(paint, ago), { scale: "share", ...percentAxis(paint) }],
  bands: [{ series: [1, 2], fill: () => paint.band }],
  series: [
    {},
    { scale: "share", width: 0, points: { show: false } },
    { scale: "share", width: 0, points: { show: false } },
    { scale: "share", stroke: () => paint.edge, width: 1, dash: [3, 4], points: { show: false } },
    { scale: "share", stroke: () => paint.ink, width: 1.75, points: { show: false } },
    { scale: "answers", fill: () => paint.line, width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [0.8, 6] }) },
  ],
  hooks: {
    drawSeries: [(u, index) => { if (index === SHARE) outside(u, paint, ...u.series[SHARE].idxs); }],
    draw: [(u) => { marks(u, paint, rains()); alertMarks(u, paint, alerts()); barAxis(u, paint); }],
  },
});

// `rains` are disruptions as (from, to, words), `alerts` moments as (time, words).
export const lineChart = (place, given = {}) => {
  const { ago = false, rains = () => [], alerts = () => [], now = () => Date.now() / 1000 } = given;
  let points = [], plot = null, drawn = 0;
  const size = () => ({ width: Math.max(160, place.clientWidth), height: Math.max(120, place.clientHeight) });
  const columns = () => ORDER.map((column) => points.map((point) => point[column]));
  const build = () => {
    plot?.destroy();
    plot = new uPlot(options(colours(), size(), { ago, rains, alerts, now }), columns(), place);
  };
  const draw = () => {
    if (reduced.matches && Date.now() - drawn < 1000) return;
    drawn = Date.now();
    plot.setData(columns());
  };
  build();
  new ResizeObserver(() => plot.setSize(size())).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  setInterval(() => { if (Date.now() - drawn > 900) draw(); }, 1000);
  return {
    // Points replace or follow those we have; a restarted counter does not take our past away.
    add: (fresh) => {
      const known = points.length ? points[points.length - 1][0] : 0, cut = now() - SPAN;
      const later = fresh.filter((point) => point[0] > known);
      if (!later.length) return;
      points = [...points, ...later].filter((point) => point[0] > cut);
      draw();
    },
    points: () => points,
    redraw: () => { drawn = 0; draw(); },
  };
};
