// Comments as a fragment from the survey service. Nothing of them is kept here, and the list stands still under the hand.
const EVERY = 5000;

const parse = (html) => new DOMParser().parseFromString(html, "text/html").querySelector(".comments");
const keyOf = (item) => item.textContent.replace(/\s+/g, " ").trim();

export const showComments = (place, address, { note = null, paused = () => false } = {}) => {
  let shown = new Set(), waiting = null;
  const touched = () => place.matches(":hover") || place.contains(document.activeElement) || place.scrollTop > 8;

  const put = (list) => {
    place.replaceChildren(list);
    shown = new Set([...list.children].map(keyOf));
    waiting = null;
    if (note) note.hidden = true;
  };
  const offer = (list, fresh) => {
    waiting = list;
    if (!note) return;
    note.hidden = fresh === 0;
    note.textContent = `${fresh} new`;
  };
  const look = async () => {
    if (document.hidden || paused()) return;
    try {
      const answer = await fetch(address(), { headers: { Accept: "text/html" } });
      // Who is not signed in is led to another page, which is no list.
      const list = answer.ok && !answer.redirected ? parse(await answer.text()) : null;
      if (!list) return;
      list.tabIndex = -1;
      const fresh = [...list.children].filter((item) => !shown.has(keyOf(item))).length;
      if (shown.size && touched()) offer(list, fresh);
      else if (fresh || !shown.size) put(list);
    } catch {
      // The survey service is away or wants a sign-in: what stands there stays.
    }
  };
  note?.addEventListener("click", () => { if (waiting) put(waiting); });
  look();
  setInterval(look, EVERY);
  return { again: () => { shown = new Set(); look(); } };
};
