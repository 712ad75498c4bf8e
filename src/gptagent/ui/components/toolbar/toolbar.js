// Filters act without a button: a choice at once, typing after a pause.
const PAUSE = 400;
let timer = 0;
const bar = (event) => event.target.closest?.("form[data-autosubmit]");
document.addEventListener("change", (event) => event.target.matches("select") && bar(event)?.requestSubmit());
document.addEventListener("input", (event) => {
  const form = event.target.matches("[type=search]") && bar(event);
  if (!form) return;
  clearTimeout(timer);
  timer = setTimeout(() => form.requestSubmit(), PAUSE);
});
