// Rows that were ticked stay ticked when their list reloads itself, as far as they are still there; others, and those
// that are new in it, are not, also where all were asked for: nobody has seen them.
const boxes = () => [...document.querySelectorAll("[data-keep-ticked]")];
let ticked = new Set();
document.addEventListener("htmx:before:swap", () => {
  ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
});
document.addEventListener("htmx:after:swap", () => {
  boxes().forEach((box) => {
    box.checked = ticked.has(box.value);
  });
});

// A longer list is searched by typing, and what is ticked stands above it, where a press takes it out.
document.querySelectorAll("[data-check-search]").forEach((search) => {
  const list = document.getElementById(search.dataset.checkSearch);
  const [field, chosen, told] = search.children;
  const rows = [...list.querySelectorAll("label")];
  const boxOf = (row) => row.querySelector("input");
  const tagOf = (row) => {
    const label = row.textContent.trim();
    const tag = document.createElement("button");
    tag.type = "button";
    tag.className = "chip";
    tag.textContent = label;
    tag.setAttribute("aria-label", search.dataset.takesOut.replace("{}", label));
    tag.disabled = boxOf(row).disabled;
    tag.addEventListener("click", () => {
      boxOf(row).checked = false;
      boxOf(row).dispatchEvent(new Event("input", { bubbles: true }));
      show();
      field.focus();
    });
    return tag;
  };
  const show = () => chosen.replaceChildren(...rows.filter((row) => boxOf(row).checked).map(tagOf));
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    rows.forEach((row) => (row.hidden = !row.textContent.toLowerCase().includes(wanted)));
    told.textContent = rows.every((row) => row.hidden) ? told.dataset.none : "";
  });
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault()); // it sends no form
  list.addEventListener("change", show);
  search.hidden = false;
  show();
});
