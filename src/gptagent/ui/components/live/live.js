// One connection for all topics of the page. Its events make the elements that wait for them reload themselves.
// It is closed while the tab is hidden; `last` tells the server where to go on.
const { liveUrl, liveCursor } = document.body.dataset;
const MAX_WAIT = 30_000;
const LONG_ABSENCE = 300_000;
let last = liveCursor ?? "";
let source = null;
let open = "";
let timer = 0;
let failures = 0;
let left = 0;

const parts = () => [...document.querySelectorAll("[data-live-topic]")];
const topics = () => [...new Set(parts().flatMap((part) => part.dataset.liveTopic.split(" ")))].sort();
const announce = (topic) => document.dispatchEvent(new CustomEvent("live:told", { detail: topic }));
const tell = (state) => document.dispatchEvent(new Event(`live:${state}`));

const close = () => {
  clearTimeout(timer);
  if (source) left ||= Date.now();
  source?.close();
  source = null;
  open = "";
};

const retry = () => {
  close();
  failures += 1;
  if (failures > 1) tell("down");
  timer = setTimeout(connect, Math.min(MAX_WAIT, 1000 * 2 ** (failures - 1)));
};

function connect() {
  const wanted = topics().join(",");
  if (wanted === open || document.hidden || !liveUrl) return;
  close();
  if (!wanted) return;
  open = wanted;
  source = new EventSource(`${liveUrl}?${new URLSearchParams({ topics: wanted, last })}`);
  source.onopen = () => {
    failures = 0;
    tell("up");
    // The server repeats what a short absence missed; after a long one everything is fetched anew.
    if (left && Date.now() - left > LONG_ABSENCE) topics().forEach(announce);
    left = 0;
  };
  source.onerror = retry;
  source.addEventListener("live", (event) => {
    last = event.lastEventId;
    announce(JSON.parse(event.data).topic);
  });
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : connect()));
document.addEventListener("htmx:after:swap", connect);
addEventListener("online", connect);
addEventListener("pagehide", close);
addEventListener("pageshow", connect);
