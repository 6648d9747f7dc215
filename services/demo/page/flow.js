// The flow line. A dot is one real event, drawn as a sample: never more than twelve a second on a stretch.
const MOST = 4, TRAVEL = 3200, EVERY = 500;
const still = matchMedia("(prefers-reduced-motion: reduce)");

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "edge", "fjord", "surface", "s1", "s2", "s3", "s4", "s5"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

const paintDot = (context, { kind, score }, x, y, paint) => {
  context.beginPath();
  context.arc(x, y, kind === "answer" ? 5 : 3.5, 0, 7);
  if (kind === "suppressed") {
    context.fillStyle = paint.surface;
    context.strokeStyle = paint.edge;
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
    return;
  }
  context.fillStyle = kind === "answer" ? paint[`s${score}`] ?? paint.ink : kind === "cell" ? paint.fjord : paint.ink;
  context.fill();
};

const stretch = (canvas) => {
  const context = canvas.getContext("2d");
  let dots = [], width = 0, height = 0;
  new ResizeObserver(() => {
    ({ clientWidth: width, clientHeight: height } = canvas);
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
  }).observe(canvas);
  return {
    add: (samples, now) => {
      const taken = samples.slice(0, MOST);
      taken.forEach((sample, i) => dots.push({ sample, at: now + ((i + Math.random() * 0.8) / taken.length) * EVERY }));
    },
    draw: (now, paint) => {
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, width, height);
      dots = dots.filter((dot) => now - dot.at < TRAVEL);
      for (const { sample, at } of dots) {
        const part = (now - at) / TRAVEL;
        if (part >= 0) paintDot(context, sample, 12 + part * (width - 18), height / 2, paint);
      }
      return dots.length;
    },
    clear: () => { dots = []; },
  };
};

export const flow = (canvases) => {
  const stretches = [...canvases].map(stretch);
  let paint = colours(), running = false;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { paint = colours(); });
  const frame = (now) => {
    const left = stretches.reduce((sum, one) => sum + one.draw(now, paint), 0);
    running = left > 0;
    if (running) requestAnimationFrame(frame);
  };
  still.addEventListener("change", () => { for (const one of stretches) one.clear(); });
  return (samples) => {
    if (still.matches || document.hidden) return;
    const now = performance.now();
    stretches.forEach((one, i) => one.add(samples.filter((sample) => sample.stretch === i), now));
    if (!running) { running = true; requestAnimationFrame(frame); }
  };
};
