// When a live part is fetched again: at most once in its throttle, and once more for what was told meanwhile, before the
// throttle was over or while an answer was on its way. The library's own throttle forgets that as it puts the answer in.
// What a reader has unfolded stays so: `morphIgnore` in the layout.
const STUCK = 10_000; // an answer that was swallowed with the part it belonged to
const states = new Map();

const stateOf = (id) => {
  if (!states.has(id)) states.set(id, { at: 0, timer: 0, busySince: 0, isAsked: false });
  return states.get(id);
};

const fetchAgain = (id) => {
  const state = stateOf(id);
  state.timer = 0;
  state.at = Date.now();
  document.getElementById(id)?.dispatchEvent(new Event("live"));
};

const ask = (part) => {
  const state = stateOf(part.id);
  if (Date.now() - state.busySince < STUCK) {
    state.isAsked = true;
  } else if (!state.timer) {
    const wait = Math.max(0, state.at + Number(part.dataset.liveThrottle) - Date.now());
    state.timer = setTimeout(fetchAgain, wait, part.id);
  }
};

document.addEventListener("live:told", ({ detail: topic }) => {
  const heard = [topic, topic.split("/")[0]]; // a listener of "conversations" hears "conversations/1" too
  document.querySelectorAll("[data-live-topic]").forEach((part) => {
    if (part.dataset.liveTopic.split(" ").some((one) => heard.includes(one))) ask(part);
  });
});

document.addEventListener("htmx:before:request", (event) => {
  if (!event.target.matches?.("[data-live-topic]")) return;
  const { id } = event.target;
  queueMicrotask(() => {
    if (!event.defaultPrevented) stateOf(id).busySince = Date.now();
  });
});

document.addEventListener("htmx:finally:request", (event) => {
  const state = states.get(event.target.id);
  if (!state) return;
  state.busySince = 0;
  const part = document.getElementById(event.target.id);
  if (state.isAsked && part) ask(part);
  state.isAsked = false;
});

// The library would take the cursor to such a field each time its part comes anew; a dialog needs the mark as it opens.
document.querySelectorAll("[data-live-topic] [autofocus]").forEach((field) => {
  if (field.closest("dialog")) return;
  field.focus();
  field.removeAttribute("autofocus");
});
