// What is paid and how much of it, chosen on the payment page without leaving it: what is typed in Stripe's form stays.
// Without this file the same links and forms load the page with the choice.
(() => {
  'use strict';

  const $ = (id) => document.getElementById(id);
  const SAME = ['currency', 'account', 'debit', 'mandate', 'saving'];
  let latest = 0;
  let served = $('choice')?.outerHTML;

  const isBusy = () => 'busy' in $('main').dataset;
  const isChoice = (address) => new URL(address, location.href).origin === location.origin && /\/pay$/.test(new URL(address, location.href).pathname);
  const ways = (form) => [...form.querySelectorAll('#ways input[name="method"]')].map((radio) => radio.value).join();
  const say = (words) => ($('announce').textContent = words);

  // Whether Stripe's form of the open page serves the fresh one too. Credit that pays all needs none of it.
  function fits(form, fresh) {
    if (!form || !fresh || SAME.some((name) => form.dataset[name] !== fresh.dataset[name])) return false;
    return ways(form) === ways(fresh) || Boolean(ways(form) && !ways(fresh));
  }

  function waiting(isWaiting) {
    const button = $('pay-button');
    if (!button) return;
    button.setAttribute('aria-disabled', isWaiting ? 'true' : 'false');
    $('working').textContent = isWaiting ? 'Working out the amount…' : '';
  }

  async function take(address, { focus = false } = {}) {
    const mine = ++latest;
    waiting(true);
    let answer;
    let text;
    try {
      answer = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store' });
      text = await answer.text();
    } catch {
      if (mine === latest) lost();
      return;
    }
    if (mine !== latest) return;
    const page = new DOMParser().parseFromString(text, 'text/html');
    if (!answer.ok || !page.getElementById('choice')) {
      location.assign(answer.url);
      return;
    }
    history.replaceState(history.state, '', answer.url);
    if ($('errors')) $('errors').hidden = true;
    show(page);
    waiting(false);
    if (focus) document.querySelector('#choice [data-focus]')?.focus();
    const due = document.querySelector('#choice .due');
    if (due) say([...due.querySelectorAll('.amount-label, .amount')].map((each) => each.textContent.trim()).join(' '));
  }

  // The ticks are again those that the button is for. A typed amount stays.
  function lost() {
    for (const form of document.querySelectorAll('#choice .choose')) form.reset();
    waiting(false);
    document.dispatchEvent(new Event('choice:lost'));
  }

  function show(page) {
    showChoice(page.getElementById('choice'));
    document.title = page.title;
    const [form, fresh] = [$('pay'), page.getElementById('pay')];
    if (!fresh && form) {
      $('paying').hidden = true; // with all that is typed, until something is chosen again
      return;
    }
    if (fits(form, fresh)) renew(form, fresh);
    else $('paying').replaceWith(document.importNode(page.getElementById('paying'), true));
    $('paying').hidden = false;
    document.dispatchEvent(new Event(form === $('pay') ? 'choice:changed' : 'page:swapped'));
  }

  function showChoice(choice) {
    served = choice.outerHTML;
    const [old, fresh, focused] = [$('choice'), document.importNode(choice, true), document.activeElement];
    const inside = old.contains(focused);
    for (const { id } of old.querySelectorAll('details[open][id]')) fresh.querySelector(`#${id}`)?.setAttribute('open', '');
    const [typed, field] = [old.querySelector('#amount'), fresh.querySelector('#amount')];
    if (typed && field && typed.value !== typed.defaultValue && field.value === typed.defaultValue) field.value = typed.value;
    old.replaceWith(fresh);
    if (inside) ((focused.id && $(focused.id)) || $('choice-head')).focus({ preventScroll: true });
  }

  function renew(form, fresh) {
    for (const name of Object.keys(form.dataset)) if (!(name in fresh.dataset)) delete form.dataset[name];
    Object.assign(form.dataset, fresh.dataset);
    if (form.querySelector('#ways')) form.querySelector('#ways').hidden = !ways(fresh);
    const [button, wanted] = [$('pay-button'), fresh.querySelector('#pay-button')];
    button.textContent = wanted.textContent;
    button.dataset.working = wanted.dataset.working;
    delete button.dataset.words;
  }

  const query = (form) => `${new URL(form.action).pathname}?${new URLSearchParams(new FormData(form))}`;

  document.addEventListener('change', (event) => {
    const form = event.target.closest('#choice form');
    if (!form) return;
    if (isBusy()) form.reset();
    else take(query(form));
  });
  document.addEventListener('submit', (event) => {
    if (!event.target.closest('#choice')) return;
    event.preventDefault();
    if (!isBusy()) take(query(event.target), { focus: true });
  });
  document.addEventListener('click', (event) => {
    const link = event.target.closest('#choice a[href], #errors-next a[href]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || 'load' in link.dataset) return;
    if (link.getAttribute('href').startsWith('#') || !isChoice(link.href) || !$('choice')) return;
    event.preventDefault();
    if (!isBusy()) take(link.href);
  });

  // The page has heard of a change elsewhere, and has been asked for again.
  document.addEventListener('page:same', ({ detail: page }) => {
    const choice = page.getElementById('choice');
    if (choice && choice.outerHTML !== served && fits($('pay'), page.getElementById('pay'))) show(page);
  });
  document.addEventListener('page:fresh', (event) => {
    if (!$('choice') || !fits($('pay'), event.detail.getElementById('pay'))) return;
    event.preventDefault();
    show(event.detail);
  });
})();
