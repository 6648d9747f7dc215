// Six phones, drawn from real messages and answers. Each opens the recipient's real page in a new tab.
import { face, make } from "./figures.js";
import { reasonInWords } from "./ledger.js";

const ADDRESS = /https?:\/\/\S+/g, LONGEST = 7, FEW_LINES = 6;
// A phone stays as it is at least this long, so that a person can read it and hit it.
const HOLD = 5000, LAST = 5;
const WORDS = {
  sv: { faces: ["Mycket missnöjd", "Missnöjd", "Varken eller", "Nöjd", "Mycket nöjd"], asks: "Hur gick leveransen?",
    saved: "Tack. Ditt svar är sparat.", inbox: "Inkorg" },
  en: { faces: ["Very dissatisfied", "Dissatisfied", "Neither", "Satisfied", "Very satisfied"],
    asks: "How did the delivery go?", saved: "Thank you. Your answer is saved.", inbox: "Inbox" },
  da: { faces: ["Meget utilfreds", "Utilfreds", "Hverken eller", "Tilfreds", "Meget tilfreds"],
    asks: "Hvordan gik leveringen?", saved: "Tak. Dit svar er gemt.", inbox: "Indbakke" },
};
const WAITS = { quiet_hours: "Quiet hours: it waits for the morning", preferred_hours: "It waits for the preferred hours",
  weekend: "It waits for the end of the weekend", holiday: "It waits for the end of the holiday", disruption: "It waits for the end of a disruption" };
const languageOf = ({ language }) => (language in WORDS ? language : "en");
const wordsOf = (phone) => WORDS[languageOf(phone)];

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
  const attributes = to ? { href: to, target: "_blank", rel: "noopener noreferrer", "aria-label": `${score}, ${wordsOf(phone).faces[score - 1]}` }
    : { class: score === chosen ? "chosen" : null };
  return make(to ? "a" : "span", attributes, face(score, 18));
}));

const heading = (words, left) => make("p", { class: left ? "top left" : "top" }, words);
// What the message itself says of the parcel: its first sentence, without who says it.
const about = (phone) => {
  const lines = (phone.text ?? "").split("\n").map((line) => line.trim()).filter((line) => line && line !== phone.subject && line !== phone.brand);
  const sentence = (lines[0] ?? "").replace(/^[^:]{1,40}:\s/, "").split(/\.\s/)[0];
  return make("p", { class: "about" }, sentence.replace(ADDRESS, ""));
};
const ghosts = () => [make("div", { class: "ghost" }), make("div", { class: "ghost short" })];

const sms = (phone) => [heading(phone.brand), make("p", { class: "at" }, phone.time ?? ""),
  make("p", { class: "bubble" }, ...linked(phone.text)),
  ...(phone.reply ? [make("p", { class: "bubble mine" }, phone.reply)] : [])];

const mail = (phone) => {
  // The faces stand where the text version has the link.
  const [before] = (phone.text ?? "").split(/\n[^\n]*https?:\/\/[^\n]*/);
  const lines = before.split("\n").map((line) => line.trim()).filter((line) => line && line !== phone.subject && line !== phone.brand);
  return [heading(wordsOf(phone).inbox, true), make("p", { class: "subject" }, phone.brand),
    make("p", { class: "subject" }, phone.subject ?? ""), make("p", { class: "mail" }, lines.slice(0, FEW_LINES).join("\n")),
    choice(phone, null), ...ghosts()];
};

const question = (phone) => [heading(phone.brand, true), about(phone), make("p", { class: "asks" }, wordsOf(phone).asks),
  choice(phone, phone.state === "tapped" ? phone.score : null), ...ghosts()];

const saved = (phone) => [heading(phone.brand, true), about(phone),
  make("p", { class: "asks" }, wordsOf(phone).saved),
  ...(phone.score ? [make("p", { class: "saved-score" }, face(phone.score, 24), wordsOf(phone).faces[phone.score - 1])] : []), ...ghosts()];

const silent = (phone) => [make("p", { class: "big-clock" }, phone.time ?? ""),
  make("p", { class: "why" }, ...(phone.reason ? [make("strong", {}, "Not asked"), reasonInWords(phone.reason)]
    : [make("strong", {}, "Not asked yet"), WAITS[phone.waits] ?? phone.waits]))];

const screen = (phone) => {
  if (phone.state === "silent" || phone.kind === "silent") return silent(phone);
  if (phone.state === "tapped" || phone.state === "opened") return question(phone);
  if (phone.state === "saved") return saved(phone);
  return phone.kind === "email" ? mail(phone) : sms(phone);
};

const caption = ({ kind, state, score }) => {
  const name = kind === "email" ? "E-mail" : "SMS";
  if (state === "silent" || kind === "silent") return "Silent, with a reason";
  return { arrived: `${name}, just arrived`, replied: "Replied STOP", opened: `${name}, opened`, tapped: `Tapped ${score ?? ""}`,
    saved: "Saved, may add more" }[state] ?? name;
};

const draw = (place, phone) => {
  const lang = phone.kind === "silent" ? null : languageOf(phone);
  const body = make("div", { class: "screen", lang }, ...screen(phone)), words = caption(phone), to = phone.why ?? here(phone.link);
  const quiet = phone.kind === "silent" || phone.state === "silent";
  const frame = make("div", { class: quiet ? "phone silent" : "phone" }, body);
  if (to) {
    const link = make("a", { class: "open", href: to, target: "_blank", rel: "noopener noreferrer" });
    link.setAttribute("aria-label", phone.why ? `${words}: read rule by rule why, in a new tab` : `${words}: open this recipient's page in a new tab`);
    frame.append(link);
  }
  place.replaceChildren(frame, make("p", { class: "caption" }, words));
};

export const phones = (list) => {
  const known = [], since = [];
  const show = (phone, i, now) => {
    const place = list.children[i], told = JSON.stringify({ ...phone, time: null });
    // Never under the hand: a phone that is pointed at or focused waits.
    if (told === known[i] || now - (since[i] ?? -HOLD) < HOLD) return;
    if (place.matches(":hover") || place.contains(document.activeElement)) return;
    known[i] = told;
    since[i] = now + i * 150;
    draw(place, phone);
  };
  return (all) => {
    const now = performance.now();
    all.filter((phone) => phone.kind !== "silent").slice(0, LAST).forEach((phone, i) => show(phone, i, now));
    const silentOne = all.find((phone) => phone.kind === "silent");
    if (silentOne) show(silentOne, LAST, now);
  };
};
