// Another slide every 20 s, the newest praise every 60 s; whatever fails, the board goes on showing what it has.
const SLIDE = 20000, FRESH = 60000, STALE = 180000;
const main = document.querySelector("main");
let place = 0, fresh = Date.now();

const show = () => {
  const slides = [...main.querySelectorAll(".slide")];
  slides.forEach((slide, number) => {
    const on = number === place % slides.length;
    slide.classList.toggle("on", on);
    slide.toggleAttribute("aria-hidden", false);
    if (!on) slide.setAttribute("aria-hidden", "true");
  });
};

const version = (from) => from.querySelector("[data-version]")?.dataset.version;

const take = (text) => {
  const next = new DOMParser().parseFromString(text, "text/html").body;
  if (version(next) !== version(main)) return location.reload();
  main.replaceChildren(...next.childNodes);
  fresh = Date.now();
  return show();
};

const refresh = async () => {
  try {
    const query = new URLSearchParams(location.search);
    query.set("part", "now");
    const reply = await fetch(`${location.pathname}?${query}`, { cache: "no-store" });
    // A board whose key was revoked shows nothing more.
    if ([401, 403, 404].includes(reply.status)) return location.reload();
    if (!reply.ok) throw new Error("away");
    return take(await reply.text());
  } catch {
    const old = Date.now() - fresh > STALE;
    main.querySelector(".fresh").hidden = old;
    main.querySelector(".stale").hidden = !old;
    return undefined;
  }
};

show();
setInterval(() => { place += 1; show(); }, SLIDE);
setInterval(refresh, FRESH);
