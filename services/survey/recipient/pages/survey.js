// A tap or click saves at once; arrow keys and Space only choose, then the button sends (WCAG 3.2.2).
(() => {
  "use strict";
  const all = (root, selector) => root.querySelectorAll(selector);
  const visit = crypto.getRandomValues(new Uint32Array(4)).join("-");
  let queue = Promise.resolve(), turn = 0, tries = 0, tried = "";
  document.documentElement.classList.add("js");

  // The server's word decides: the page loads again and shows what is stored.
  const showStored = (form) => {
    const query = new URLSearchParams(), lang = new URLSearchParams(location.search).get("lang");
    if (form.elements.part) query.set("done", "1");
    if (form.elements.part?.value === "preferences") query.set("kept", "preferences");
    if (lang) query.set("lang", lang);
    history.scrollRestoration = "manual";
    history.replaceState(null, "", `${new URL(form.action).pathname}${`?${query}`.replace(/\?$/, "")}#saved`);
    location.reload();
  };

  const showFailure = (form) => {
    for (const notice of all(form, "[data-failed]")) notice.hidden = false;
    for (const button of all(form, "[data-retry]")) {
      button.textContent = button.dataset.retry;
      button.classList.add("shown");
    }
  };

  const post = async (form, body, key, mine) => {
    if (mine !== turn) return; // a later tap took this one's place before it left
    const stop = new AbortController(), timer = setTimeout(() => stop.abort(), 10000);
    const headers = { Accept: "application/json", "Idempotency-Key": key };
    let settled = false;
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers, signal: stop.signal, keepalive: true });
      settled = answer.ok ? "revision" in (await answer.json()) : [404, 409, 423].includes(answer.status);
    } catch { /* no network, too late, or not our server's answer: not saved */ }
    clearTimeout(timer);
    if (mine === turn) (settled ? showStored : showFailure)(form);
  };

  const save = (form, button) => {
    const body = new URLSearchParams(new FormData(form));
    if (button?.name) body.append(button.name, button.value);
    // The same choice tried again keeps its key; another choice is another attempt.
    if (tried !== String(body)) { tried = String(body); tries += 1; }
    const key = `${visit}-${tries}`, mine = ++turn;
    for (const notice of all(form, "[data-failed]")) notice.hidden = true;
    queue = queue.then(() => post(form, body, key, mine));
  };

  // Without an address nobody can get in touch; the browser says so in the page's words and shows the field.
  const askForAddress = () => {
    const wish = document.getElementById("wants-contact"), address = document.getElementById("contact-address");
    if (!wish) return;
    const reachable = address.value.includes("@") || (address.value.match(/\p{Nd}/gu) ?? []).length >= 5;
    address.setCustomValidity(wish.checked && !reachable ? address.dataset.missing : "");
    address.required = wish.checked;
  };
  document.addEventListener("input", askForAddress);
  document.addEventListener("click", (event) => {
    const label = event.isTrusted && event.detail > 0 && event.target.closest(".faces label");
    if (!label) return; // keys and scripts end here: detail is 0 for them
    label.control.checked = true;
    save(label.control.form);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.name === "score") target.form.querySelector(".send").classList.add("shown");
  });
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    save(event.target, event.submitter);
  });
  // Link scanners load pages, people touch them: told when a touched page is left unanswered.
  let touched = 0;
  const touch = ({ isTrusted }) => { if (isTrusted) touched ||= 1; };
  addEventListener("pointerdown", touch);
  addEventListener("keydown", touch);
  document.addEventListener("visibilitychange", () => {
    const form = document.querySelector("form");
    if (!document.hidden || touched !== 1 || tries || !form || location.hash === "#saved") return;
    touched = 2;
    navigator.sendBeacon(form.action, new URLSearchParams({ part: "opened", nonce: form.elements.nonce.value }));
  });
  document.addEventListener("DOMContentLoaded", () => {
    askForAddress();
    const again = document.querySelector("[data-reload]");
    if (again) setTimeout(() => location.reload(), again.dataset.reload * 1000);
    const status = document.querySelector("[data-say]");
    if (!status || location.hash !== "#saved") return;
    document.getElementById("saved").focus({ preventScroll: true });
    setTimeout(() => { status.textContent = status.dataset.say; }, 150);
  });
})();
