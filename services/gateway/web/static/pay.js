// The payment page and the page that adds a card. Card numbers go into Stripe's own frames; this file never sees them.
(() => {
  'use strict';

  const LOGGED_OUT = 'You have been logged out.{nothing} Log in again, then try once more.';
  const UNREACHABLE = 'We could not reach the payment service.{nothing} Check your connection and try again.';
  const REFUSED = 'This was refused.{nothing} Load this page again, or ask the clinic.';
  const TOO_MANY = 'That was too often in a short time.{nothing} Wait a minute, then try again.';
  const UNKNOWN = 'We are waiting for an answer';
  const NO_FORM = "Stripe's secure card form could not be opened. Check your connection and load this page again.";

  const $ = (id) => document.getElementById(id);

  class Refused extends Error {
    constructor(words, next = [], field = '', heading = '') {
      super(words);
      this.next = next;
      this.field = field;
      this.heading = heading;
    }
  }

  function appearance() {
    const tokens = getComputedStyle(document.documentElement);
    const token = (name) => tokens.getPropertyValue(`--${name}`).trim();
    return {
      theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'night' : 'stripe',
      variables: {
        colorPrimary: token('accent'),
        colorBackground: token('surface'),
        colorText: token('ink'),
        colorTextSecondary: token('ink-2'),
        colorDanger: token('error'),
        fontFamily: 'system-ui, sans-serif',
        fontSizeBase: '16px',
        borderRadius: '10px',
      },
    };
  }

  function openStripe({ key, account }) {
    if (!window.Stripe) throw new Refused(NO_FORM, [{ href: location.href, words: 'Load this page again' }]);
    return account ? window.Stripe(key, { stripeAccount: account }) : window.Stripe(key);
  }

  function mount(elements, place, waiting) {
    const element = elements.create('payment', { layout: 'tabs' });
    element.on('ready', () => waiting && (waiting.hidden = true));
    element.on('loaderror', () => {
      if (waiting) waiting.hidden = true;
      showError(new Refused(NO_FORM, [{ href: location.href, words: 'Load this page again' }]));
    });
    element.mount(place);
    return elements;
  }

  // What is wrong, on top and at the field, and what to do next.
  function showError(error) {
    clearError();
    const heading = $('errors').querySelector('h2');
    heading.dataset.words ||= heading.textContent;
    heading.textContent = error.heading || heading.dataset.words;
    $('errors-words').textContent = error.message;
    for (const step of error.next || []) $('errors-next').append(nextStep(step));
    $('errors').hidden = false;
    if (error.field && $(error.field)) {
      $(error.field).textContent = error.message;
      $(error.field).hidden = false;
    }
    $('errors').focus();
  }

  function nextStep({ href, words }) {
    const link = Object.assign(document.createElement('a'), { href, textContent: words });
    if (href.startsWith('#')) link.addEventListener('click', (event) => choose(event, href.slice(1)));
    const item = document.createElement('li');
    item.append(link);
    return item;
  }

  function choose(event, id) {
    event.preventDefault();
    const radio = $(id);
    radio.checked = true;
    radio.dispatchEvent(new Event('change', { bubbles: true }));
    radio.focus();
  }

  const LAST = ['succeeded', 'processing', 'requires_capture'];

  // Whether the intent in an error of Stripe's has taken the money, or saved the card, all the same.
  const isDone = (error) => LAST.includes((error.payment_intent || error.setup_intent || {}).status);

  // What an error of Stripe.js says in our words. `sent`: the intent was to be confirmed, so only what proves that
  // nothing was done says so; `look` is where the outcome can be seen.
  function refusal(error, reasons, { offCard, others = [], field = '', sent, look }) {
    if (error.type === 'validation_error') return new Refused(error.message, [], field);
    const codes = offCard ? { ...reasons.codes, ...reasons.off_card } : reasons.codes;
    const why = codes[error.decline_code] || codes[error.code] || (error.type === 'card_error' && codes['']);
    if (why) return new Refused(why + reasons.nothing, others, field);
    const trouble = reasons.types[error.type];
    if (trouble) return new Refused(trouble + reasons.nothing, others);
    return sent ? new Refused(reasons.unknown, [look], '', UNKNOWN) : new Refused(UNREACHABLE.replace('{nothing}', reasons.nothing));
  }

  function clearError() {
    $('errors').hidden = true;
    $('errors-next').replaceChildren();
    const atField = $('card-error');
    if (atField) atField.hidden = true;
  }

  function working(button, words) {
    const main = $('main');
    if (words) main.dataset.busy = 'yes';
    else delete main.dataset.busy;
    button.setAttribute('aria-disabled', words ? 'true' : 'false');
    if (!button.dataset.words) button.dataset.words = button.textContent;
    button.textContent = words ? button.dataset.working : button.dataset.words;
    $('working').textContent = words;
    for (const input of button.form.querySelectorAll('input')) input.disabled = Boolean(words);
  }

  async function ask(form, body) {
    const { nothing } = JSON.parse(form.dataset.reasons);
    const refused = (words, next, heading) => new Refused(words.replace('{nothing}', nothing), next, '', heading);
    let answer;
    try {
      answer = await fetch(form.action, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          'x-csrftoken': document.querySelector('meta[name="csrf-token"]').content,
        },
        body: JSON.stringify(body),
      });
    } catch {
      throw refused(UNREACHABLE);
    }
    if (answer.redirected || answer.status === 401 || answer.status === 403) {
      throw refused(LOGGED_OUT, [{ href: form.dataset.login, words: 'Log in again' }]);
    }
    const said = await answer.json().catch(() => ({}));
    const otherwise = answer.status === 429 ? TOO_MANY : answer.status < 500 ? REFUSED : UNREACHABLE;
    if (!answer.ok) throw refused(said.message || otherwise, said.next || [], said.heading);
    return said;
  }

  // Payment page

  function payments(form) {
    const said = form.dataset;
    const button = $('pay-button');
    const reasons = JSON.parse(said.reasons);
    const groups = {};
    let stripe;

    const way = () => form.querySelector('input[name="method"]:checked').value;
    const saves = () => ($('save').checked ? 'off_session' : null);

    function group(kind) {
      if (groups[kind]) return groups[kind];
      const options = {
        mode: 'payment',
        amount: Number(said.stripeAmount),
        currency: said.currency.toLowerCase(),
        appearance: appearance(),
        setupFutureUsage: kind === 'card' ? saves() : null,
      };
      // Must fit the intent that is made later: cards alone, or all that the clinic's account has switched on but cards.
      if (kind === 'card') options.paymentMethodTypes = ['card'];
      else options.excludedPaymentMethodTypes = ['card'];
      groups[kind] = mount(stripe.elements(options), `#${kind}-form`, $(`${kind}-waiting`));
      return groups[kind];
    }

    // Browsers put the choice back after Back, and tell nobody.
    function show() {
      const kind = way();
      if (kind === 'card' || kind === 'redirect') group(kind);
      if (kind === 'card') group(kind).update({ setupFutureUsage: saves() });
    }

    function otherWays() {
      const others = [...form.querySelectorAll('input[name="method"]:not(:checked)')];
      return others.map((radio) => ({
        href: `#${radio.id}`,
        words: `Pay with: ${radio.nextElementSibling.firstChild.textContent.trim()}`,
      }));
    }

    function refused(error, start) {
      return refusal(error, reasons, {
        offCard: way() === 'redirect',
        others: otherWays(),
        field: way() === 'card' ? 'card-error' : '',
        sent: Boolean(start),
        look: start && { href: said.result + start.payment_id, words: 'See what became of the payment' },
      });
    }

    async function pay() {
      const chosen = way();
      const [kind, id] = chosen.split(':');
      const elements = kind === 'saved' ? null : group(kind);
      const save = kind === 'card' && $('save').checked;
      working(button, 'Checking your details…');
      if (elements) {
        const checked = await elements.submit();
        if (checked.error) throw refused(checked.error);
      }
      const amount = { minor: Number(said.minor), currency: said.currency };
      const method = kind === 'saved' ? { kind, payment_method_id: id } : { kind };
      const start = await ask(form, { amount, method, save });
      working(button, kind === 'redirect' ? 'Taking you to the payment system…' : 'Waiting for your bank. Please keep this page open.');
      await confirm(start, elements);
      location.assign(said.result + start.payment_id);
    }

    async function confirm(start, elements) {
      if (!start.client_secret) return; // nothing left to confirm: the result page says what came of it
      const confirmParams = { return_url: new URL(said.result + start.payment_id, location.href).href };
      if (!elements) confirmParams.payment_method = start.saved_method;
      let outcome;
      try {
        const wanted = { clientSecret: start.client_secret, confirmParams, redirect: 'if_required' };
        outcome = await stripe.confirmPayment(elements ? { elements, ...wanted } : wanted);
      } catch {
        throw refused({}, start);
      }
      if (outcome.error && !isDone(outcome.error)) throw refused(outcome.error, start);
    }

    form.addEventListener('change', (event) => {
      if (event.target.name === 'method') {
        clearError();
      }
      if (event.target.name === 'method' || event.target.id === 'save') show();
    });
    submits(form, button, pay);
    stripe = openStripe(said);
    show();
    restored = show;
  }

  // Add a card

  function setup(form) {
    const said = form.dataset;
    const button = $('save-button');
    const reasons = JSON.parse(said.reasons);
    const stripe = openStripe(said);
    const options = { mode: 'setup', currency: said.currency.toLowerCase(), paymentMethodTypes: ['card'], appearance: appearance() };
    const elements = mount(stripe.elements(options), '#card-form', $('card-waiting'));

    const look = { href: said.methods, words: 'See your saved cards' };
    const refused = (error, sent) => refusal(error, reasons, { field: 'card-error', sent, look });

    submits(form, button, async () => {
      working(button, 'Checking your card…');
      const checked = await elements.submit();
      if (checked.error) throw refused(checked.error, false);
      const start = await ask(form, {});
      const confirmParams = { return_url: new URL(said.done, location.href).href };
      const wanted = { elements, clientSecret: start.client_secret, confirmParams, redirect: 'if_required' };
      const outcome = await stripe.confirmSetup(wanted).catch(() => ({ error: {} }));
      if (outcome.error && !isDone(outcome.error)) throw refused(outcome.error, true);
      location.assign(said.done);
    });
  }

  function submits(form, button, action) {
    button.disabled = false; // until now a press would have sent the form without us
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (button.getAttribute('aria-disabled') === 'true') return;
      clearError();
      try {
        await action();
      } catch (error) {
        working(button, '');
        const { nothing } = JSON.parse(form.dataset.reasons);
        showError(error instanceof Refused ? error : new Refused(UNREACHABLE.replace('{nothing}', nothing)));
      }
    });
  }

  function start() {
    try {
      if ($('pay')) payments($('pay'));
      if ($('setup')) setup($('setup'));
    } catch (error) {
      showError(error instanceof Refused ? error : new Refused(NO_FORM, [{ href: location.href, words: 'Load this page again' }]));
    }
  }

  let restored = () => {};
  document.addEventListener('page:swapped', start);
  window.addEventListener('pageshow', () => restored());
  start();
})();
