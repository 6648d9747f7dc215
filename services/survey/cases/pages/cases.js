// Keys, and changes made by others. Without this file every step still works with plain forms.
import { stream } from "./stream.js";

const KEYS_OFF = "kvittera.cases.keys";
const $ = (selector) => document.querySelector(selector);
const typing = (target) => target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");

const move = (step) => {
  const links = [...document.querySelectorAll("#rows a.row")];
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[Math.min(links.length - 1, Math.max(0, at + step))];
  if (next && next !== links[at]) location.assign(next.href);
};
const press = (selector) => {
  const button = $(selector);
  if (button) button.form.requestSubmit(button);
};
const acts = {
  j: () => move(1),
  k: () => move(-1),
  a: () => press("#take button"),
  c: () => press("#work [value=contact]"),
  r: () => press("#work [value=resolve]"),
  "/": () => $("#find").focus(),
  "?": () => $("#help").showModal(),
};

const keysOn = $("#keys-on");
keysOn.checked = localStorage.getItem(KEYS_OFF) !== "off";
keysOn.addEventListener("change", () => localStorage.setItem(KEYS_OFF, keysOn.checked ? "on" : "off"));
$("#keys").hidden = false;
$("#keys").addEventListener("click", (event) => acts[event.target.closest("[data-key]")?.dataset.key]?.());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || $("#help").open) return;
  const act = keysOn.checked && !typing(event.target) && acts[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
$("#rows .is-chosen")?.scrollIntoView({ block: "nearest" });

// The list never moves under the hand: while pointer or focus is in it, changes wait for a press.
const rows = $("#rows");
let due = false;
const busy = () => rows.matches(":hover") || document.activeElement?.closest("#rows, #tabs, .bar nav");
const refresh = async () => {
  due = false;
  const reply = await fetch(rows.dataset.address, { headers: { accept: "text/html" } }).catch(() => null);
  if (!reply?.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  // The value holds the revision: a case that somebody else changed is not ticked any more.
  const picked = new Set([...rows.querySelectorAll("input:checked")].map((box) => box.value));
  for (const id of ["#rows", "#tabs", ".bar nav"]) $(id).replaceChildren(...fresh.querySelector(id).childNodes);
  for (const box of rows.querySelectorAll("input[name=case]")) box.checked = picked.has(box.value);
  $("#news").hidden = true;
};
const settle = () => {
  if (!due) return;
  if (busy()) $("#news").hidden = false;
  else refresh();
};
$("#show-news").addEventListener("click", refresh);
setInterval(settle, 2000);

const detail = $(".detail[data-number]");
let asOf = null;
const heard = (data) => {
  if (data.as_of) asOf = Date.now();
};
const source = stream("/cases/events", {
  tick: heard,
  change: (data) => {
    heard(data);
    due = true;
    if (detail && data.cases[detail.dataset.number] > Number(detail.dataset.revision)) $("#changed").hidden = false;
  },
}, ({ since, over, retryIn }) => {
  const line = $(".connection");
  const words = over ? "You are signed out. " : since ? `No news since ${since.toTimeString().slice(0, 8)}. ` : "";
  if (line.dataset.words !== words) {
    line.dataset.words = words;
    line.replaceChildren(words);
    if (words) {
      const again = document.createElement("button");
      again.className = "quiet";
      again.textContent = "Try now";
      again.addEventListener("click", () => source.now());
      line.append(again);
    }
  }
  if (asOf === null || retryIn === undefined) return;
  const age = (Date.now() - asOf) / 1000;
  $("[data-live]").textContent = age < 5 ? "Live" : "Stale";
  $("[data-as-of]").textContent = `as of ${age < 10 ? age.toFixed(0) + " s ago" : new Date(asOf).toTimeString().slice(0, 8)}`;
  $(".stamp").classList.toggle("stale", age >= 5);
});
