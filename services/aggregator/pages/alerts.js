// Alerts of the line that is shown: its marks, and the same in words beside the chart, newest first.
import { make } from "./figures.js";

const MOST = 5;
const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });
const what = (since) => `more dissatisfied than expected since ${dayOf.format(new Date(since))}`;

// `row` is the row whose line is shown, empty for everything; `page` the address of a row's own page, if it has one.
export const alertList = (list, { row, page }) => {
  let told = [], written = "";
  const ofLine = () => told.filter(({ value }) => !row() || value === row());

  const item = ({ value, time, since }) => {
    const address = page(value), name = address ? make("a", { href: address }, value) : value;
    return make("li", {}, make("span", { class: "triangle", "aria-hidden": "true" }), `Alert ${time}: `, name, `, ${what(since)}`);
  };
  // Written anew only where it changed: a link keeps its focus while numbers come.
  const write = () => {
    const alerts = ofLine(), now = JSON.stringify([alerts, alerts.map(({ value }) => page(value))]);
    if (now === written) return;
    written = now;
    list.hidden = !alerts.length;
    const more = alerts.length > MOST ? [make("li", { class: "quiet" }, `${alerts.length - MOST} more, marked in their rows`)] : [];
    list.replaceChildren(...alerts.slice(0, MOST).map(item), ...more);
  };
  return {
    show: (alerts = []) => { told = alerts; write(); },
    again: write,
    marks: () => ofLine().map(({ at, time, value }) => [at, `Alert ${time}${row() ? "" : ` ${value}`}`]),
    words: () => ofLine().slice(0, MOST).map(({ value, time, since }) => ` Alert ${time}: ${value}, ${what(since)}.`).join(""),
  };
};
