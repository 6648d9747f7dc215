// Six phones, drawn from real messages and answers. Each opens the recipient's real page in a new tab.
import { face, make } from "./figures.js";
import { reasonInWords } from "./ledger.js";

const ADDRESS = /https?:\/\/\S+/g, LONGEST = 7, FEW_LINES = 6;
const WORDS = ["Mycket missnöjd", "Missnöjd", "Varken eller", "Nöjd", "Mycket nöjd"];

// A link is opened on this origin: the demo's server passes /r/ on to the survey.
const here = (link, score) => {
  if (!link) return null;
  const { pathname } = new URL(link, location.href);
  return pathname.startsWith("/r/") ? pathname + (score ? `?s=${score}` : "") : null;
};

const short = (address) => {
  const { host, pathname } = new URL(address);
  return `${host}\u200b${pathname.length > LONGEST ? `${pathname.slice(0, LONGEST)}…` : pathname}`;
};

const linked = (words) => {
  const parts = [], text = words ?? "";
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    parts.push(text.slice(end, match.index), make("span", { class: "address" }, short(match[0])));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
};

const choice = (phone, chosen) => make("div", { class: "choice" }, ...[1, 2, 3, 4, 5].map((score) => {
  const to = chosen ? null : here(phone.link, score);
  const attributes = to ? { href: to, target: "_blank", rel: "noopener noreferrer", "aria-label": `${score}, ${WORDS[score - 1]}` }
    : { class: score === chosen ? "chosen" : null };
  return make(to ? "a" : "span", attributes, face(score, 18));
}));

const heading = (words, left) => make("p", { class: left ? "top left" : "top" }, words);
const about = ({ merchant }) => make("p", { class: "about", lang: "sv" }, merchant ? `Paket från ${merchant}` : "Ett paket");
const ghosts = () => [make("div", { class: "ghost" }), make("div", { class: "ghost short" })];

const sms = (phone) => [heading(phone.brand), make("p", { class: "at" }, phone.time ?? ""),
  make("p", { class: "bubble" }, ...linked(phone.text)),
  ...(phone.score && !phone.link ? [make("p", { class: "bubble mine" }, String(phone.score))] : [])];

const mail = (phone) => {
  // Lines that are only a way to tap a face stand as faces, as the mail itself shows them.
  const lines = (phone.text ?? "").split("\n").filter((line) => !/\/r\/\S+/.test(line));
  return [heading("Inkorg", true), make("p", { class: "subject" }, phone.brand), make("p", { class: "subject" }, phone.subject ?? ""),
    make("p", { class: "mail" }, lines.join("\n").trim().split("\n").slice(0, FEW_LINES).join("\n")), choice(phone, null)];
};

const question = (phone) => [heading(phone.brand, true), about(phone), make("p", { class: "asks", lang: "sv" }, "Hur gick leveransen?"),
  choice(phone, phone.state === "tapped" ? phone.score : null), ...ghosts()];

const saved = (phone) => [heading(phone.brand, true), about(phone),
  make("p", { class: "asks", lang: "sv" }, "Tack. Ditt svar är sparat."),
  ...(phone.score ? [make("p", { class: "saved-score", lang: "sv" }, face(phone.score, 24), WORDS[phone.score - 1])] : []), ...ghosts()];

const silent = (phone) => [make("p", { class: "big-clock" }, phone.time ?? ""),
  make("p", { class: "why" }, make("strong", {}, "Not asked"), reasonInWords(phone.reason))];

const screen = (phone) => {
  if (phone.state === "silent" || phone.kind === "silent") return silent(phone);
  if (phone.state === "tapped" || phone.state === "opened") return question(phone);
  if (phone.state === "saved") return phone.link ? saved(phone) : sms(phone);
  return phone.kind === "email" ? mail(phone) : sms(phone);
};

const caption = ({ kind, state, score }) => {
  const name = kind === "email" ? "E-mail" : "SMS";
  if (state === "silent" || kind === "silent") return "Silent, with a reason";
  return { arrived: `${name}, just arrived`, opened: `${name}, opened`, tapped: `Tapped ${score ?? ""}`,
    saved: "Saved, may add more" }[state] ?? name;
};

const draw = (place, phone) => {
  const body = make("div", { class: "screen" }, ...screen(phone)), words = caption(phone), to = here(phone.link);
  const quiet = phone.kind === "silent" || phone.state === "silent";
  const frame = make("div", { class: quiet ? "phone silent" : "phone" }, body);
  if (to) {
    const link = make("a", { class: "open", href: to, target: "_blank", rel: "noopener noreferrer" });
    link.setAttribute("aria-label", `${words}: open this recipient's page in a new tab`);
    frame.append(link);
  }
  place.replaceChildren(frame, make("p", { class: "caption" }, words));
};

export const phones = (list) => {
  const known = [];
  return (all) => all.slice(0, list.children.length).forEach((phone, i) => {
    const place = list.children[i], now = JSON.stringify(phone);
    // Never under the hand: a phone that is pointed at or focused waits.
    if (now === known[i] || place.matches(":hover") || place.contains(document.activeElement)) return;
    known[i] = now;
    draw(place, phone);
  });
};
