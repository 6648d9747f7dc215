// A tap is sent after the one before it, again with the same Idempotency-Key while nothing answers, and the page is as
// new after it. However late it is sent, Visit tells whose it is.
(() => {
  "use strict";
  const kept = "kvittera-kiosk-key", given = location.hash.slice(1);
  if (given.startsWith("kv_")) {
    // A fragment never leaves the tablet; out of the address bar it goes all the same.
    localStorage.setItem(kept, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  const told = document.querySelector(".told"), buttons = [...document.querySelectorAll("[data-score]")];
  const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });
  const drawn = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
  const debounce = Number(told.dataset.debounce);
  let queue = Promise.resolve(), last;

  const send = async ({ once, score, tap, visit }) => {
    const stop = new AbortController(), timer = setTimeout(() => stop.abort(), 10000);
    try {
      const reply = await fetch("/api/v1/kiosk/responses", {
        method: "POST",
        body: JSON.stringify({ score, language: document.documentElement.lang.slice(0, 2) }),
        headers: {
          Authorization: `Bearer ${localStorage.getItem(kept)}`,
          "Content-Type": "application/json",
          "Idempotency-Key": once,
          Visit: `${visit}/${tap}`,
        },
        signal: stop.signal,
      });
      return reply.status;
    } catch {
      return 0;
    } finally {
      clearTimeout(timer);
    }
  };

  const show = async (mine, status) => {
    if (mine !== last) return; // somebody tapped since; that tap says what became of it
    told.textContent = status === 201 ? told.dataset.saved : told.dataset.failed;
    await wait(3000);
    if (mine !== last) return;
    told.textContent = "";
    for (const other of buttons) other.classList.remove("chosen");
    document.activeElement?.blur();
  };

  const post = async (mine) => {
    let status = 0;
    for (let tries = 0; tries < 5; tries++) {
      if (mine.corrected) return; // the last face is the answer
      status = await send(mine);
      if (status && status !== 409 && status !== 503) break;
      await wait(2000);
    }
    show(mine, status);
  };

  const tap = (button) => {
    const at = performance.now(); // no clock that is set moves it
    const once = drawn(), score = Number(button.dataset.score);
    const same = last && at - last.at < debounce; // the same person, who corrects the answer
    if (same) last.corrected = true;
    last = { at, once, score, tap: same ? last.tap + 1 : 1, visit: same ? last.visit : drawn() };
    for (const other of buttons) other.classList.toggle("chosen", other === button);
    const mine = last;
    queue = queue.then(() => post(mine));
  };

  for (const button of buttons) button.addEventListener("click", () => tap(button));
  addEventListener("keydown", (event) => {
    const button = event.repeat || event.ctrlKey || event.altKey || event.metaKey
      ? undefined : buttons.find((each) => each.dataset.score === event.key);
    if (button) tap(button);
  });
})();
