// Why some were not asked, and the identity that must hold. The notifier owns this; where it is away, so is this part.
import { make, number, text } from "./figures.js";

const EVERY = 3000, SVG = "http://www.w3.org/2000/svg";
const REASONS = {
  opted_out: "Opted out",
  objected: "Declined beforehand",
  erased: "Erased",
  consent_missing: "No consent",
  returned: "Parcel went back",
  cancelled: "Delivery cancelled",
  not_delivered: "Not delivered after all",
  claim_opened: "Claim, damage or hold",
  exception_open: "Claim, damage or hold",
  merchant_denied: "Merchant policy",
  merchants_turn: "The shop asks",
  held_out: "Left alone, to compare",
  order_already_asked: "One ask per order",
  drop_already_asked: "One ask per drop",
  wished_less_often: "Wished less often",
  carrier_budget_spent: "Contact budget",
  merchant_budget_spent: "Contact budget of a shop",
  not_sampled: "Sampled out",
  disruption_paused: "Paused: disruption",
  in_the_future: "Wrong clock at the source",
  too_old: "Too long ago",
  channel_not_wanted: "No address of the wished kind",
  no_reachable_channel: "No reachable channel",
  unusable_address: "No address that can work",
  unreachable: "Every address failed before",
  language_without_message: "No message in that language",
  answered: "Answered already",
  contested: "Says it never came",
};

export const reasonInWords = (code) => {
  const plain = String(code ?? "").replaceAll("_", " ");
  return REASONS[code] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
};

const row = (reason, n, most) => {
  const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
  for (const [key, value] of [["viewBox", "0 0 100 6"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) {
    svg.setAttribute(key, value);
  }
  rect.setAttribute("width", (100 * n) / most);
  rect.setAttribute("height", 6);
  svg.append(rect);
  return make("tr", {}, make("th", { scope: "row" }, reasonInWords(reason)), make("td", { class: "bar-cell" }, svg),
    make("td", { class: "num", "data-count": "" }, number(n)));
};

export const drawReasons = (section, byReason, suppressed) => {
  const reasons = Object.entries(byReason).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  text(section.querySelector("h3"), `Why ${number(suppressed)} were not asked`);
  section.querySelector("tbody").replaceChildren(...reasons.map(([reason, n]) => row(reason, n, reasons[0][1])));
};

const draw = (section, ledger) => {
  const { delivered, asked, suppressed, pending, failed } = ledger;
  drawReasons(section, ledger.suppressed_by_reason, suppressed);
  const identity = section.querySelector(".identity"), gap = delivered - asked - suppressed - pending - failed;
  const sum = `${number(delivered)} = ${number(asked)} asked + ${number(suppressed)} not + ${number(pending)} waiting`
    + ` + ${number(failed)} failed`;
  identity.classList.toggle("gap", gap !== 0);
  text(identity, gap === 0 ? sum : `${sum}. ${number(Math.abs(gap))} ${gap > 0 ? "missing" : "too many"}`);
  section.hidden = delivered === 0;
};

export const showLedger = (section) => {
  const look = async () => {
    try {
      const answer = await fetch("/ledger", { headers: { Accept: "application/json" } });
      if (answer.ok) draw(section, await answer.json());
      else section.hidden = true;
    } catch {
      section.hidden = true;
    }
  };
  look();
  setInterval(() => { if (!document.hidden) look(); }, EVERY);
};
