// The theme changes at once; the server reads the same cookie, so the next page has it before its first paint.
const [prefix, secure] = location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""];
document.addEventListener("submit", (event) => {
  const theme = event.target.matches("[data-theme-form]") && event.submitter?.value;
  if (!theme) return;
  event.preventDefault();
  const root = document.documentElement;
  document.cookie = `${prefix}theme=${theme}${secure};path=/;max-age=31536000;samesite=lax`;
  root.classList.toggle("dark", theme === "dark");
  if (theme === "system") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme);
  document.querySelectorAll("[data-theme-form] button").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.value === theme));
  });
});
