// Arrow keys, Home and End go from tab to tab; the tabs are links, so Enter opens one.
const steps = { ArrowRight: 1, ArrowLeft: -1 };
document.addEventListener("keydown", (event) => {
  const tab = event.target.closest?.(".tabs .tab");
  if (!tab || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
  event.preventDefault();
  const all = [...tab.closest(".tabs").querySelectorAll(".tab")];
  const place = { Home: 0, End: all.length - 1 }[event.key] ?? all.indexOf(tab) + steps[event.key] + all.length;
  all[place % all.length].focus();
});
