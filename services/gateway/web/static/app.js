// Keeps an open page true: the server says that something has changed, the page asks for itself again and swaps its
// <main>. Everything works without this file, after a reload.
(() => {
  'use strict';

  const MAX_POLLS = 8;
  let source = null;
  let timer = 0;
  let polls = 0;
  let shown = document.getElementById('main').outerHTML; // as it was served

  const main = () => document.getElementById('main');
  const known = (id) => document.querySelector(`[data-id="${CSS.escape(id)}"]`);

  function listen() {
    if (source) source.close();
    const address = main().dataset.live;
    source = address ? new EventSource(address) : null;
    if (!source) return;
    for (const kind of ['invoice', 'payment']) {
      source.addEventListener(kind, (event) => hear(JSON.parse(event.data)));
    }
  }

  function hear(news) {
    const shown = known(news.id);
    if (shown ? isShown(shown.dataset, news) : !('liveAll' in main().dataset)) return;
    clearTimeout(timer);
    // What was updated is told to the services and to this page at once: they need a moment to take it in.
    timer = setTimeout(() => refresh(news.id), news.status === 'updated' ? 1000 : 80);
  }

  // A version that the server does not know is missing; the state must do then.
  const isShown = (shown, news) => (news.version ? Number(shown.version) >= news.version : shown.state === news.status);

  async function refresh(id) {
    if (main().dataset.busy) return; // a payment is under way on this page: it ends on a page of its own
    let answer;
    try {
      answer = await fetch(location.href, { headers: { Accept: 'text/html' }, cache: 'no-store' });
    } catch {
      return; // offline: the stream connects again, and says the state again
    }
    if (main().dataset.busy || !answer.ok) return;
    if (answer.redirected) {
      location.assign(answer.url);
      return;
    }
    swap(new DOMParser().parseFromString(await answer.text(), 'text/html'), id);
  }

  // A form that still asks for the same sums stays as it is, with all that was typed into it.
  function isSameForm(page) {
    const [here, there] = [document.getElementById('pay'), page.getElementById('pay')];
    if (!here || !there) return false;
    if (here.dataset.shares !== there.dataset.shares || here.dataset.due !== there.dataset.due) return false;
    for (const fresh of page.querySelectorAll('[data-id]')) known(fresh.dataset.id)?.setAttribute('data-version', fresh.dataset.version);
    return true;
  }

  function swap(page, id) {
    const served = page.getElementById('main').outerHTML;
    if (isSameForm(page)) {
      document.dispatchEvent(new CustomEvent('page:same', { detail: page }));
      return;
    }
    if (served === shown) {
      poll();
      return;
    }
    shown = served;
    if (!document.dispatchEvent(new CustomEvent('page:fresh', { detail: page, cancelable: true }))) return;
    const before = id && known(id)?.dataset.said;
    const focused = document.activeElement;
    const inside = main().contains(focused);
    const typed = new Map([...main().querySelectorAll('input[id]')].map((input) => [input.id, input.value]));
    const told = document.getElementById('errors');
    const fresh = document.importNode(page.getElementById('main'), true);
    main().replaceWith(fresh);
    // What a press was answered stays to be read, also where the page has changed for the same reason.
    if (told && !told.hidden) document.getElementById('errors')?.replaceWith(told);
    document.title = page.title;
    for (const [name, value] of typed) {
      const input = document.getElementById(name);
      if (input && input.type === 'search') input.value = value;
    }
    if (inside) (document.getElementById(focused.id) || fresh).focus({ preventScroll: true });
    const said = id && known(id)?.dataset.said;
    if (said && said !== before) document.getElementById('announce').textContent = said;
    document.dispatchEvent(new Event('page:swapped'));
  }

  function poll() {
    if (!('again' in main().dataset) || polls >= MAX_POLLS) return;
    polls += 1;
    setTimeout(() => refresh(null), 1000);
  }

  function reveal(button, input) {
    const isShown = input.type === 'password';
    input.type = isShown ? 'text' : 'password';
    button.setAttribute('aria-pressed', isShown);
  }

  function dress() {
    for (const button of main().querySelectorAll('[data-print], [data-shows]')) button.hidden = false;
    poll();
  }

  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-print]')) window.print();
    const shows = event.target.closest('[data-shows]');
    if (shows) reveal(shows, document.getElementById(shows.dataset.shows));
  });
  document.addEventListener('page:swapped', dress);
  window.addEventListener('pagehide', () => source && source.close());
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) location.reload();
    else listen();
  });

  document.documentElement.dataset.script = 'on';
  dress();
  document.querySelector('[data-focus]')?.focus();
})();
