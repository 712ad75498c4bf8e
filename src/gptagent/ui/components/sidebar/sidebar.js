// Folding the sidebar and its sections. The choice is a cookie, so that the server draws the next page the same way.
const sidebar = document.getElementById("sidebar");
const WEEK = 604_800;
const [prefix, secure] = location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""];
const remember = (name, value) => {
  document.cookie = `${prefix}${name}=${value}${secure};path=/;max-age=${WEEK};samesite=lax`;
};

const fold = () => {
  const mini = sidebar.classList.toggle("sidebar--mini");
  remember("sidebar", mini ? "mini" : "full");
  document.querySelector("[data-sidebar-fold]").setAttribute("aria-pressed", String(mini));
};

if (sidebar) {
  document.addEventListener("click", (event) => event.target.closest("[data-sidebar-fold]") && fold());
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "b" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    fold();
  });
  sidebar.addEventListener("toggle", () => {
    const closed = [...sidebar.querySelectorAll("[data-nav-section]:not([open])")];
    remember("nav_closed", closed.map((section) => section.dataset.navSection).join("."));
  }, true);
}

const search = document.querySelector("[data-workspace-search]");
if (search) {
  const items = [...document.querySelectorAll("[data-workspace]")];
  search.hidden = false;
  search.addEventListener("input", (event) => {
    const words = event.target.value.trim().toLowerCase();
    items.forEach((item) => (item.hidden = !item.dataset.workspace.includes(words)));
    document.querySelector("[data-workspace-none]").hidden = items.some((item) => !item.hidden);
  });
}
