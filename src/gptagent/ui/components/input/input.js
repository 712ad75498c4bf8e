// The counter of a text with a limit.
const language = document.documentElement.lang;
const update = (field) => {
  const counter = field.id && document.querySelector(`[data-count-for="${CSS.escape(field.id)}"] [data-count]`);
  if (counter) counter.textContent = field.value.length.toLocaleString(language);
};
document.addEventListener("input", (event) => event.target.matches("textarea") && update(event.target));
const updateAll = () => document.querySelectorAll("textarea[maxlength]").forEach(update);
updateAll();
document.addEventListener("htmx:after:swap", updateAll); // what was typed may have stayed in a part that came anew

// What is wrong with a field that says its limits is told as it is left, changed; the server tells the same once it is
// sent. `data-check` is `number` or `text`, `data-wrong` the sentence, for what is too low or too high it may have another
// one; what may be empty has `data-optional`.
const wrongOf = ({ value, dataset: { check, low, high, optional, wrong, wrongLow, wrongHigh } }) => {
  const text = value.trim();
  if (text === "" && optional !== undefined) return "";
  if (check === "number" && !/^-?\d+$/.test(text)) return wrong;
  const size = check === "number" ? Number(text) : text.length;
  if (size < Number(low)) return wrongLow ?? wrong;
  return size > Number(high) ? wrongHigh ?? wrong : "";
};
document.addEventListener("focusout", ({ target }) => {
  if (!target.matches?.("[data-check]")) return;
  const id = `${target.id}-error`;
  const told = document.getElementById(id);
  if (target.value === target.defaultValue && told?.dataset.here === undefined) return;
  told?.remove();
  target.removeAttribute("aria-invalid");
  const wrong = wrongOf(target);
  if (!wrong) return;
  target.setAttribute("aria-invalid", "true");
  target.setAttribute("aria-describedby", `${id} ${target.id}-help`);
  const said = document.createElement("p");
  said.id = id;
  said.className = "field__error";
  said.textContent = wrong;
  said.dataset.here = "";
  target.after(said);
});

// What somebody has typed into a field that keeps it stays, whatever its part of the page says of it when it comes anew.
document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.matches("[data-keeps]")) field.toggleAttribute("hx-morph-skip", field.value !== "");
});
