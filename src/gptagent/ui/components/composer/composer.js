// Nothing written, nothing to send. What is written waits while its thread comes without a place for it, as for an answer
// that is given anew.
const fields = () => [...document.querySelectorAll(".composer--send textarea[required]")];
const watch = (field) => (field.form.querySelector("[type=submit]").disabled = !field.value.trim());
let written = "";
document.addEventListener("htmx:before:swap", ({ target }) => {
  const [field] = fields();
  if (field) written = field.form.contains(target) ? "" : field.value; // what is sent waits no more
});
const watchAll = () => fields().forEach(watch);
document.addEventListener("htmx:after:swap", () => {
  const [field] = fields();
  if (field && written && !field.value) {
    field.value = written;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  if (field) written = "";
  watchAll();
});
document.addEventListener("input", ({ target }) => target.matches(".composer--send textarea[required]") && watch(target));
addEventListener("pageshow", watchAll);
watchAll();
