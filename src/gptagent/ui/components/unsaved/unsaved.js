// A form with unsaved changes is not left unasked: by a link our own dialog asks, by closing the tab the browser.
// With `data-unsaved-already` the page itself came with what was typed and is not saved.
const form = document.querySelector("form[data-unsaved]");
const stateOf = () => new URLSearchParams(new FormData(form)).toString();
const isElsewhere = (link) => link.origin === location.origin && !link.target && !link.hasAttribute("download") &&
  `${link.pathname}${link.search}` !== `${location.pathname}${location.search}`;

if (form) {
  const dialog = document.getElementById(form.dataset.unsaved);
  const first = stateOf();
  let isLeaving = false;
  let place = "";
  const isDirty = () => !isLeaving && (form.hasAttribute("data-unsaved-already") || stateOf() !== first);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || !isElsewhere(link) || event.metaKey || event.ctrlKey || event.shiftKey || !isDirty()) return;
    event.preventDefault();
    place = link.href;
    dialog.showModal();
  });
  dialog.querySelector("[data-leaves]").addEventListener("click", () => {
    isLeaving = true;
    location.assign(place);
  });
  addEventListener("beforeunload", (event) => isDirty() && event.preventDefault());
  // What is sent is not lost; the browser goes on to what comes of it.
  document.addEventListener("submit", (event) => {
    if (event.target === form && !event.defaultPrevented) isLeaving = true;
  });
  addEventListener("pageshow", (event) => event.persisted && (isLeaving = false));
}
