// How old the numbers are and whether they still come: one stamp, one line under the nav, calm words.
import { clock, exact, make, number, seconds, text } from "./figures.js";
import { stream } from "./stream.js";

const STALE = 5000, PRECISE = 10000, MANY = 200, LATE_TICKS = 3;

// When the counter will have caught up, from how quickly it did during the last seconds.
const pace = () => {
  let seen = [];
  return (behind, at) => {
    seen = [...seen.filter((entry) => at - entry[1] < 8000), [behind, at]];
    const [first, began] = seen[0], spent = at - began;
    return spent > 2000 && first > behind ? (behind * spent) / (first - behind) / 1000 : null;
  };
};

export const follow = (url, show, { stamp, connection, onSkew = () => {}, also = {} }) => {
  let skew = 0, asOf = 0, behind = 0, late = 0, left = null, told = null;
  const eta = pace(), again = make("button", { type: "button" }, "Try now");

  // Readers hear what happened once; the running numbers are for the eye only.
  const spoken = make("span", { class: "vh" }), first = make("strong"), rest = make("span");
  const seen = make("span", { "aria-hidden": "true", class: "state-words" }, make("span", { class: "state-dot" }), first, rest);
  const say = ({ words = "", more = "", heard = "", lost = false }) => {
    if (!words) {
      text(spoken, "");
      return connection.replaceChildren();
    }
    if (!connection.contains(seen)) connection.append(spoken, seen);
    if (lost !== connection.contains(again)) lost ? connection.append(again) : again.remove();
    seen.firstChild.classList.toggle("lost", lost);
    text(first, words);
    text(rest, more);
    return text(spoken, heard);
  };

  const take = (event, more) => {
    if (!event.as_of) return;
    asOf = Date.parse(event.as_of);
    skew = Date.now() - Date.parse(event.now);
    onSkew(skew / 1000);
    behind = event.behind ?? 0;
    late = behind >= MANY ? late + 1 : 0;
    left = eta(behind, Date.now());
    if (more) show(event);
  };

  const state = ({ since, over, retryIn }) => {
    if (told) return told;
    if (over) {
      const words = "You are signed out.";
      return { words, more: "These numbers stand still until you sign in again.", heard: words, lost: true };
    }
    if (since) {
      const next = retryIn === null ? "Trying now." : `Next try in ${Math.ceil(retryIn / 1000)}\u00a0s.`;
      const words = `Not live since ${clock(since)}.`;
      return { words, more: `Showing the last known numbers. ${next}`, heard: words, lost: true };
    }
    if (late < LATE_TICKS) return {};
    const wait = left === null ? "" : ` About ${exact(Math.max(1, Math.round(left)))} left.`;
    return { words: `The counter is ${number(behind)} events behind.`, more: `Answers are safe.${wait}`,
      heard: "The counter is behind. Answers are safe." };
  };

  const age = () => Date.now() - skew - asOf;
  const restamp = ({ since, over }) => {
    const stale = asOf > 0 && age() > STALE;
    stamp.classList.toggle("stale", stale || over || Boolean(since));
    const words = stamp.querySelector("[data-as-of]");
    text(stamp.querySelector("strong"), since || over ? "Not live" : "Live");
    if (!asOf) text(words, "no numbers yet");
    else if (!stale && age() < PRECISE) text(words, `as of ${seconds(Math.max(0.1, age() / 1000))} ago`);
    else text(words, `as of ${clock(new Date(asOf + skew))}, ${exact(age() / 1000)} ago`);
  };

  const live = stream(url, {
    snapshot: (event) => take(event, true),
    update: (event) => take(event, true),
    tick: (event) => take(event, false),
    ...also,
  }, (now) => { restamp(now); say(state(now)); });
  again.addEventListener("click", () => live.now());
  return {
    retry: () => live.now(),
    to: (address) => live.to(address),
    // Somebody who knows more about the counter says so; null ends it.
    tell: (words) => { told = words; },
  };
};
