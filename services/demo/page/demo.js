// The demo page: its own state stream drives flow, phones and controls; results come from the aggregator itself.
import { controls } from "./controls.js";
import { number, text } from "./figures.js";
import { flow } from "./flow.js";
import { showLedger } from "./ledger.js";
import { phones } from "./phones.js";
import { results } from "./results.js";
import { stream } from "./stream.js";

const showFlow = flow(document.querySelectorAll(".flow canvas"));
const showPhones = phones(document.getElementById("phones"));
const bar = controls();
const live = results();
const SILENT = 5000;
let counted = true, answersThen = 0;

const stages = ({ running, topics, all_published: over }) => {
  for (const stage of document.querySelectorAll(".stage")) {
    const up = running[stage.dataset.stage] ?? true, role = stage.querySelector("[data-role]");
    stage.classList.toggle("down", !up);
    const words = over && stage.dataset.stage === "deliveries" ? "simulated, all published" : role.dataset.roleWords;
    text(role, up ? words : "stopped");
  }
  for (const place of document.querySelectorAll("[data-topic]")) {
    const n = topics[place.dataset.topic];
    text(place, n === undefined ? "–" : number(n));
  }
};

const followCounter = ({ running, topics }) => {
  const answers = topics["response.recorded.v1"] ?? 0;
  if (!running.aggregator && counted) answersThen = answers;
  live.stopped(running.aggregator ? null : answers - answersThen);
  if (running.aggregator && !counted) live.retry();
  counted = running.aggregator;
};

const staff = ({ board, ...waiting }) => {
  if (board) document.getElementById("board").href = board;
  for (const [what, n] of Object.entries(waiting)) {
    const place = document.getElementById(what);
    text(place, number(n));
    place.hidden = n === 0;
  }
};

const show = (state) => {
  staff(state.staff);
  stages(state);
  showFlow(state.samples);
  showPhones(state.phones);
  bar.show(state);
  live.rain(state.raining);
  followCounter(state);
};

stream("/demo/events", { state: show }, ({ quiet }) => { if (quiet > SILENT) bar.silent(); });
showLedger(document.getElementById("ledger"));
