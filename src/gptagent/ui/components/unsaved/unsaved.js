// A form with unsaved changes is not left unasked: by a link our own dialog asks, by closing the tab the browser.
// With `data-unsaved-already` the page itself came with what was typed and is not saved. In a form that comes anew by itself,
// `data-unsaved-typed`, only what somebody typed counts: see input.js.
const formNow = () => document.querySelector("form[data-unsaved]");
// What has `data-apart` counts by itself, and is changed if it is not what that says.
const stateOf = (form) => {
  const data = form ? new FormData(form) : new FormData();
  form?.querySelectorAll("[data-apart]").forEach((one) => data.delete(one.name));
  return new URLSearchParams(data).toString();
};
const isApart = (one) => one.matches("[data-apart]:not([type=hidden])") && one.value !== one.dataset.apart;
const isPlace = (link) => link.href.includes("#") &&
  `${link.pathname}${link.search}` === `${location.pathname}${location.search}`; // of this page: without a # it comes anew
const isElsewhere = (link) => link.origin === location.origin && !link.target && !link.hasAttribute("download") && !isPlace(link);
const isTyped = (form) => [...form.elements].some((one) => one.matches("[data-keeps][hx-morph-skip]"));
let kept = stateOf(formNow());
let [sending, isLeaving, sent, place] = ["", false, null, ""];
const isDirty = () => {
  const form = formNow();
  if (!form || isLeaving) return false;
  if (form.hasAttribute("data-unsaved-typed")) return isTyped(form);
  return form.hasAttribute("data-unsaved-already") || stateOf(form) !== kept || [...form.elements].some(isApart);
};
// Words in any other form that keeps them are not dropped by sending one beside it: the browser asks.
const isDirtyBeside = () => !isLeaving && [...document.forms].some((form) => form !== sent && form !== formNow() && isTyped(form));
const ask = (event, to) => {
  event.preventDefault();
  place = to;
  document.getElementById(formNow().dataset.unsaved).showModal();
};

document.addEventListener("click", (event) => {
  if (place && event.target.closest("[data-leaves]")) {
    isLeaving = true;
    location.assign(place);
  }
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || !isElsewhere(link) || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (isDirty()) ask(event, link.href);
});
addEventListener("beforeunload", (event) => (isDirty() || isDirtyBeside()) && event.preventDefault());
// What is sent is not lost; the browser goes on to what comes of it. A filter leads elsewhere as a link does.
document.addEventListener("submit", (event) => {
  const { target } = event;
  if (event.defaultPrevented) return;
  sent = target;
  if (target === formNow()) isLeaving = true;
  else if (target.method === "get" && isDirty()) ask(event, `${target.action}?${new URLSearchParams(new FormData(target))}`);
});
document.addEventListener("input", () => { sent = null; }); // the page is still there
addEventListener("pageshow", (event) => event.persisted && (isLeaving = false));
// What the form has saved by itself is no longer unsaved: see autosave.js.
const isItself = ({ target }) => target.matches?.("[data-autosave]");
document.addEventListener("htmx:before:request", (event) => isItself(event) && (sending = stateOf(formNow())));
document.addEventListener("htmx:after:swap", (event) => {
  if (!isItself(event) || event.detail.ctx.response.status !== 200) return;
  kept = sending;
  formNow().removeAttribute("data-unsaved-already");
});
