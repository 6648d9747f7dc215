// How old the numbers are and whether they still come: one stamp, one line under the nav, calm words.
import { clock, exact, number, seconds, text } from "./figures.js";
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

export const follow = (url, show, { stamp, connection, onSkew = () => {} }) => {
  let skew = 0, asOf = 0, behind = 0, late = 0, left = null, said = "", told = "";
  const eta = pace();

  const say = (words, button) => {
    if (said === words) return;
    said = words;
    connection.replaceChildren();
    if (!words) return;
    const [strong, ...rest] = words.split("|");
    const dot = document.createElement("span"), first = document.createElement("strong");
    dot.className = button ? "state-dot lost" : "state-dot";
    first.textContent = strong;
    connection.append(dot, first, ` ${rest.join("")} `);
    if (button) connection.append(button);
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

  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Try now";

  const state = ({ since, retryIn }) => {
    if (told) return [told];
    if (since) {
      const next = retryIn === null ? "Trying now." : `Next try in ${seconds(Math.ceil(retryIn / 1000))}.`;
      return [`Not live since ${clock(since)}.|Showing the last known numbers. ${next}`, again];
    }
    if (late < LATE_TICKS) return [""];
    const wait = left === null ? "" : ` About ${exact(Math.max(1, Math.round(left)))} left.`;
    return [`The counter is ${number(behind)} events behind.|Answers are safe.${wait}`];
  };

  const age = () => Date.now() - skew - asOf;
  const restamp = ({ since }) => {
    const stale = asOf > 0 && age() > STALE;
    stamp.classList.toggle("stale", stale || Boolean(since));
    const words = stamp.querySelector("[data-as-of]");
    if (!asOf) text(words, "no numbers yet");
    else if (!stale && age() < PRECISE) text(words, `as of ${seconds(Math.max(0.1, age() / 1000))} ago`);
    else text(words, `as of ${clock(new Date(asOf + skew))}, ${exact(age() / 1000)} ago`);
  };

  const live = stream(url, {
    snapshot: (event) => take(event, true),
    update: (event) => take(event, true),
    tick: (event) => take(event, false),
  }, (now) => { restamp(now); say(...state(now)); });
  again.addEventListener("click", () => live.now());
  return {
    retry: () => live.now(),
    // Somebody who knows more about the counter says so; an empty sentence ends it.
    tell: (words) => { told = words; },
  };
};
