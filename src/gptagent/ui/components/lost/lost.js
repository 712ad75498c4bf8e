// A part that could not be fetched says so in its place until it is. It asks once more by its button, and by itself as soon
// as the connection is back. Such a part is a live one, or has `data-part`: somebody asked for it, and what was typed stays.
const words = document.querySelector("template[data-lost-words]");
const asked = new WeakMap(); // by notice: how its part was asked for
let pressed = null; // the part whose button had the cursor, and the field that asked for it
const isPart = (part) => part?.matches?.("[data-live-topic], [data-part]");
const noticeIn = (part) => part.querySelector(":scope > [data-lost]");
// What is refused is not lost: toast.js has the words.
const isBroken = (response) => !response || response.status === 429 || response.status >= 500;

const tell = ({ detail: { ctx } }) => {
  const part = ctx?.target;
  if (!words || !isPart(part)) return;
  const before = noticeIn(part); // told once, however often it is asked for in vain
  if (!isBroken(ctx.response)) return before?.remove();
  const notice = before ?? words.content.firstElementChild.cloneNode(true);
  asked.set(notice, { ...ctx }); // as it is now: what is not swapped in is marked as such in it
  if (before) before.querySelector("button").ariaBusy = null;
  else part.prepend(notice);
};

const askAgain = (notice) => {
  const part = notice.parentElement;
  const { request: { method, action }, sourceElement: source, swap } = asked.get(notice);
  const button = notice.querySelector("button");
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  if (button === document.activeElement) pressed = { part, source };
  if (part.dataset.liveTopic) part.dispatchEvent(new Event("live"));
  else htmx.ajax(method, action, { source, target: part, swap });
};
const heal = () => document.querySelectorAll("[data-lost]").forEach(askAgain);

// The cursor that was on the button comes back to it, to the field that asked, or to what has come.
const giveBack = () => {
  const part = pressed?.part.id ? document.getElementById(pressed.part.id) : pressed?.part;
  const button = part && noticeIn(part)?.querySelector("button");
  if (!part || button?.ariaBusy === "true") return; // it is still on its way
  const field = pressed.source.matches("input, textarea") && pressed.source;
  pressed = null;
  if (document.activeElement !== document.body) return;
  if (!button && !field) part.tabIndex = -1;
  (button || field || part).focus({ preventScroll: true });
};

document.addEventListener("htmx:response:error", tell);
document.addEventListener("htmx:error", tell);
document.addEventListener("htmx:finally:request", () => queueMicrotask(giveBack)); // what lay over it is away then
addEventListener("online", heal);
document.addEventListener("live:up", heal);
document.addEventListener("click", ({ target }) => {
  const notice = target.closest("[data-again]")?.closest("[data-lost]");
  if (notice) askAgain(notice);
});
