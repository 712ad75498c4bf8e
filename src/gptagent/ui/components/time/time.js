// The server writes times as the reader's clock shows them: from the second page on it knows the time zone.
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
const [prefix, secure] = location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""];
const zone = `${prefix}timezone=${encodeURIComponent(timeZone)}${secure}`;
if (timeZone) document.cookie = `${zone};path=/;max-age=31536000;samesite=lax`;
