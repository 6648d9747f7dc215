// Speed, rain, night, a strike, the aggregator's life, and the last audit's word.
import { exact, number, text } from "./figures.js";

const FASTEST = 500;
const byId = (id) => document.getElementById(id);
const toRate = (place) => Math.max(1, Math.round(FASTEST ** (place / 100)));
const toPlace = (rate) => Math.round((100 * Math.log(Math.max(1, rate))) / Math.log(FASTEST));

const post = (path, body) => fetch(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
});

const slider = () => {
  const input = byId("speed");
  let held = 0, timer = 0;
  const say = (rate) => {
    const words = `${number(rate)} ${rate === 1 ? "delivery" : "deliveries"} per second`;
    text(byId("rate"), words);
    input.setAttribute("aria-valuetext", words);
    input.style.setProperty("--part", `${input.value}%`);
  };
  input.addEventListener("input", () => {
    held = Date.now();
    say(toRate(input.value));
    clearTimeout(timer);
    timer = setTimeout(() => post("/demo/rate", { rate: toRate(input.value) }).catch(() => {}), 150);
  });
  return (rate) => {
    input.disabled = false;
    if (Date.now() - held < 1500) return;
    input.value = toPlace(rate);
    say(rate < 1 ? rate : Math.round(rate));
  };
};

// A button whose word follows the server; pressed, it waits until the server says so.
const toggle = (id, path, { words, wanted }) => {
  const button = byId(id);
  let state = null, asked = 0;
  button.addEventListener("click", async () => {
    asked = Date.now();
    button.disabled = true;
    await post(path, wanted(state)).catch(() => { asked = 0; });
  });
  return (now) => {
    const waits = now === state && Date.now() - asked < 4000;
    if (now !== state) asked = 0;
    state = now;
    button.disabled = waits;
    text(button.querySelector("span"), words(now));
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(now));
  };
};

const audit = (place) => {
  const [first, second] = [place.querySelector("strong"), place.querySelector("span")];
  // Without word from the demo the last result is no longer known to hold.
  const silent = () => {
    place.classList.add("waiting");
    place.classList.remove("wrong");
    text(first, "Not known now");
    text(second, "the demo does not answer");
  };
  const show = (result) => {
    place.classList.toggle("waiting", !result);
    const clean = result?.clean && !result.lost && !result.double && !result.differing_cells;
    place.classList.toggle("wrong", Boolean(result) && !clean);
    if (!result) {
      text(first, "Not audited yet");
      return text(second, "the first audit comes soon");
    }
    const differing = result.differing_cells ? ` · ${number(result.differing_cells)} cells differ` : "";
    text(first, `${number(result.lost)} lost · ${number(result.double)} double${differing}`);
    const answers = result.in_flight ? `${number(result.counted)} answers, ${number(result.in_flight)} under way`
      : `${number(result.counted)} of ${number(result.acknowledged)} answers`;
    const age = result.age_seconds < 10 ? `${Math.round(result.age_seconds)}\u00a0s` : exact(result.age_seconds);
    return text(second, `audited ${age} ago, ${answers}`);
  };
  return { show, silent };
};

export const controls = () => {
  const showRate = slider(), badge = audit(byId("audit"));
  const showRain = toggle("rain", "/demo/rain", {
    words: (on) => (on ? "Stop the rain" : "Make it rain"), wanted: (on) => ({ on: !on }),
  });
  const showNight = toggle("night", "/demo/night", {
    words: (on) => (on ? "Let it be day" : "Let it be night"), wanted: (on) => ({ on: !on }),
  });
  const showStrike = toggle("strike", "/demo/strike", {
    words: (on) => (on ? "End the strike" : "Call a strike"), wanted: (on) => ({ on: !on }),
  });
  const showLife = toggle("kill", "/demo/aggregator", {
    words: (runs) => (runs ? "Kill the aggregator" : "Start the aggregator"), wanted: (runs) => ({ run: !runs }),
  });
  const show = (state) => {
    showRate(state.rate);
    showRain(state.raining);
    showNight(state.night);
    showStrike(state.striking);
    showLife(state.running.aggregator);
    byId("kill").classList.toggle("danger", state.running.aggregator);
    text(byId("events"), number(state.events));
    badge.show(state.audit);
  };
  const silent = () => {
    for (const id of ["speed", "rain", "night", "strike", "kill"]) byId(id).disabled = true;
    badge.silent();
  };
  return { show, silent };
};
