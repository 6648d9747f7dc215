// Server-sent events with our own reconnecting: EventSource gives up for ever when a proxy says 502.
const FIRST = 1000, LONGEST = 8000, SILENT = 15000;

export const stream = (address, handlers, onState = () => {}) => {
  let url = address, source = null, wait = FIRST, timer = 0, retryAt = 0, heard = Date.now(), since = null, last = "", over = false;

  const close = () => { source?.close(); source = null; };
  const retry = () => {
    close();
    clearTimeout(timer);
    timer = setTimeout(open, wait);
    retryAt = Date.now() + wait;
    wait = Math.min(LONGEST, wait * 2);
  };
  const open = () => {
    close();
    clearTimeout(timer);
    retryAt = 0;
    over = false;
    // A new EventSource forgets what it had heard, so we tell where to go on.
    source = new EventSource(last ? `${url}${url.includes("?") ? "&" : "?"}last=${encodeURIComponent(last)}` : url);
    source.onerror = retry;
    // The sign-in is over: nobody is let in again before somebody signs in.
    source.addEventListener("over", () => { over = true; close(); });
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        heard = Date.now();
        last = event.lastEventId;
        wait = FIRST;
        since = null;
        handle(JSON.parse(event.data));
      });
    }
  };

  setInterval(() => {
    const quiet = Date.now() - heard;
    // A connection that is open but dumb is made anew.
    if (quiet > SILENT && source && source.readyState === EventSource.OPEN) retry();
    if (quiet > SILENT) since ??= new Date(heard);
    onState({ quiet, since, over, retryIn: retryAt ? Math.max(0, retryAt - Date.now()) : null });
  }, 500);
  open();
  return {
    now: () => { wait = FIRST; open(); },
    // Another address begins anew: what was heard of the one before does not count.
    to: (next) => { url = next; last = ""; wait = FIRST; open(); },
  };
};
