// For browsers that do not know `command` and `closedby` yet.
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    if (!dialog) return;
    if (button.getAttribute("command") === "close") dialog.close();
    else if (!dialog.open) dialog.showModal();
  });
}
if (!("closedBy" in HTMLDialogElement.prototype)) {
  document.addEventListener("click", (event) => {
    if (event.target.matches("dialog[closedby=any]")) event.target.close();
  });
}
// An opener inside a menu leaves the menu behind.
document.addEventListener("click", (event) => {
  event.target.closest("[popover] [commandfor]")?.closest("[popover]").hidePopover();
});
// An open dialog stays open: the live part of the page it stands in waits until it is closed.
const keepOpen = (event) => {
  if (event.target.matches?.("[data-live-topic]") && event.target.querySelector("dialog[open]")) event.preventDefault();
};
document.addEventListener("htmx:before:request", keepOpen);
document.addEventListener("htmx:before:swap", keepOpen); // it may have been opened since the request
document.addEventListener("close", (event) => {
  const topics = event.target.closest?.("[data-live-topic]")?.dataset.liveTopic.split(" ") ?? [];
  topics.forEach((topic) => document.dispatchEvent(new CustomEvent("live:told", { detail: topic })));
}, true);
// A link with a drawer shows its page's part in there; without a script, or in another tab, it is a page.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-drawer]");
  const drawer = link && document.getElementById(link.dataset.drawer);
  if (!drawer || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  drawer.showPopover();
  drawer.querySelector("button").focus();
  const target = drawer.querySelector(".drawer__body");
  target.replaceChildren(); // what it told before is of something else
  htmx.ajax("GET", `${link.href}?part=drawer`, { target });
});
