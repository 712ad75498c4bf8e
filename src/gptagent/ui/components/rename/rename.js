// A name in a list is a link; a double click on it, or F2, unfolds the form that renames. `data-renames` is its id.
const SECOND_CLICK = 250;
let timer = 0;
const formOf = (event) => document.getElementById(event.target.closest?.("a[data-renames]")?.dataset.renames ?? "");
const open = (details) => {
  clearTimeout(timer);
  details.open = true;
  const field = details.querySelector("input:not([type=hidden])");
  field.focus();
  field.select();
};

document.addEventListener("click", (event) => {
  // From the keyboard a link has no second click to wait for.
  if (!formOf(event) || !event.detail || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { href } = event.target.closest("a");
  clearTimeout(timer);
  if (event.detail === 1) timer = setTimeout(() => location.assign(href), SECOND_CLICK);
});
document.addEventListener("dblclick", (event) => formOf(event) && open(formOf(event)));
document.addEventListener("keydown", (event) => {
  if (event.key === "F2" && formOf(event)) {
    event.preventDefault();
    open(formOf(event));
  }
  const details = event.key === "Escape" && event.target.closest?.("details.rename[open]");
  if (!details) return;
  details.querySelector("form").reset();
  details.querySelector("[data-keeps]").removeAttribute("hx-morph-skip");
  details.open = false;
  details.parentElement.querySelector("a[data-renames]").focus();
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches("details.rename[open]")) open(event.target);
}, true);
