// Shows new mail without a reload: asks for this page again and takes over its list when that has changed.
const list = document.getElementById("messages");
async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("messages");
    if (fresh && fresh.innerHTML !== list.innerHTML) list.innerHTML = fresh.innerHTML;
  } catch { /* the mailbox is restarting; the next look will do */ }
}
setInterval(look, 2000);
