// A form with unsaved changes is not left unasked: by a link our own dialog asks, by closing the tab the browser.
// With `data-unsaved-already` the page itself came with what was typed and is not saved. In a form that comes anew by itself,
// `data-unsaved-typed`, only what somebody typed counts: see input.js.
const form = document.querySelector("form[data-unsaved]");
const stateOf = () => new URLSearchParams(new FormData(form)).toString();
const isElsewhere = (link) => link.origin === location.origin && !link.target && !link.hasAttribute("download") &&
  `${link.pathname}${link.search}` !== `${location.pathname}${location.search}`;

if (form) {
  const dialog = document.getElementById(form.dataset.unsaved);
  const first = stateOf();
  let isLeaving = false;
  let place = "";
  const isTyped = () => [...form.elements].some((one) => one.matches("[data-keeps][hx-morph-skip]"));
  const isChanged = () => form.hasAttribute("data-unsaved-already") || stateOf() !== first;
  const isDirty = () => !isLeaving && (form.hasAttribute("data-unsaved-typed") ? isTyped() : isChanged());

  const ask = (event, to) => {
    event.preventDefault();
    place = to;
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || !isElsewhere(link) || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (isDirty()) ask(event, link.href);
  });
  dialog.querySelector("[data-leaves]").addEventListener("click", () => {
    isLeaving = true;
    location.assign(place);
  });
  addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
  // What is sent is not lost; the browser goes on to what comes of it. A filter leads elsewhere as a link does.
  document.addEventListener("submit", (event) => {
    const { target } = event;
    if (event.defaultPrevented) return;
    if (target === form) isLeaving = true;
    else if (target.method === "get" && isDirty()) ask(event, `${target.action}?${new URLSearchParams(new FormData(target))}`);
  });
  addEventListener("pageshow", (event) => event.persisted && (isLeaving = false));
}
