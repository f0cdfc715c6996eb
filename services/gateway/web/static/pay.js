// The payment page and the page that adds a card. Card numbers go into Stripe's own frames; this file never sees them.
(() => {
  'use strict';

  const UNKNOWN = 'We are waiting for an answer';
  const LOOK = 'See what became of the payment';
  const NOT_OPEN = 'The form did not open';
  const NO_FORM = "Stripe's secure card form could not be opened. Check your connection and load this page again.";

  const OPENING = "Opening Stripe's secure form…";

  const $ = (id) => document.getElementById(id);

  // When each of Stripe's forms can be filled. Wallets have none.
  const opened = new WeakMap();

  class Refused extends Error {
    constructor(words, next = [], heading = '') {
      super(words);
      this.next = next;
      this.heading = heading;
    }
  }

  const noForm = () => new Refused(NO_FORM, [{ href: location.href, words: 'Load this page again', load: true }], NOT_OPEN);

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
    if (!window.Stripe) throw noForm();
    return account ? window.Stripe(key, { stripeAccount: account }) : window.Stripe(key);
  }

  function mount(elements, place, waiting) {
    // Our page has the texts that its client agrees to.
    const terms = { card: 'never', sepaDebit: 'never', usBankAccount: 'never' };
    // Where wallets have buttons of their own, the form does not show them a second time.
    const own = $('wallets') && { wallets: { applePay: 'never', googlePay: 'never' } };
    const element = elements.create('payment', { layout: 'tabs', terms, ...own });
    const ready = new Promise((resolve, reject) => {
      element.on('ready', resolve);
      element.on('loaderror', () => reject(noForm()));
    });
    opened.set(elements, ready);
    ready.catch(showError).finally(() => waiting && (waiting.hidden = true));
    element.mount(place);
    return elements;
  }

  // Stripe.js refuses a form that is still being opened, so a press that comes before waits for it.
  async function submit(elements, button, words) {
    working(button, OPENING);
    await opened.get(elements);
    working(button, words);
    return elements.submit();
  }

  // The words for all that may go wrong, whole: the page has those of a payment, or of saving a card.
  const reasonsOf = (form) => JSON.parse(form.dataset.reasons);

  // What is wrong, once and on top, and what to do next. What is wrong in a field of Stripe's form, that form says there.
  function showError(error) {
    clearError();
    const heading = $('errors').querySelector('h2');
    heading.dataset.words ||= heading.textContent;
    heading.textContent = error.heading || heading.dataset.words;
    $('errors-words').textContent = error.message;
    for (const step of error.next || []) $('errors-next').append(nextStep(step));
    $('errors').hidden = false;
    $('errors').focus();
  }

  function nextStep({ href, words, load }) {
    const link = Object.assign(document.createElement('a'), { href, textContent: words });
    if (load) link.dataset.load = 'yes';
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
  function refusal(error, reasons, { offCard, others = [], sent, look }) {
    if (error.type === 'validation_error') return new Refused(`${error.message} ${reasons.not_sent}`, [], reasons.incomplete);
    const codes = offCard ? { ...reasons.codes, ...reasons.off_card } : reasons.codes;
    const why = codes[error.decline_code] || codes[error.code] || (error.type === 'card_error' && codes['']);
    const sure = why || reasons.types[error.type];
    if (sure) return new Refused(sure, others);
    return sent ? new Refused(reasons.unknown, [look], UNKNOWN) : new Refused(reasons.unreachable);
  }

  function clearError() {
    $('errors').hidden = true;
    $('errors-next').replaceChildren();
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

  // A press again, after its answer was lost, has the key of the first: credit pays once.
  const keys = new Map();

  function keyOf(choice) {
    if (!keys.has(choice)) keys.set(choice, [...crypto.getRandomValues(new Uint32Array(4))].join('-'));
    return keys.get(choice);
  }

  // `lost` is what to say where no answer proves that nothing was done.
  async function ask(form, body, { key, lost } = {}) {
    const reasons = reasonsOf(form);
    let answer;
    try {
      answer = await fetch(form.action, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          Accept: 'application/json',
          'x-csrftoken': document.querySelector('meta[name="csrf-token"]').content,
          ...(key && { 'Idempotency-Key': key }),
        },
        body: JSON.stringify(body),
      });
    } catch {
      throw lost || new Refused(reasons.unreachable);
    }
    if (answer.redirected || answer.status === 401 || answer.status === 403) {
      throw new Refused(reasons.logged_out, [{ href: form.dataset.login, words: reasons.logged_out_next }]);
    }
    const said = await answer.json().catch(() => ({}));
    const otherwise = answer.status === 429 ? 'too_many' : answer.status < 500 ? 'refused' : 'unreachable';
    if (lost && (answer.ok ? !said.payment_id : answer.status >= 500 && !said.message)) throw lost;
    if (!answer.ok) throw new Refused(said.message || reasons[otherwise], said.next || [], said.heading);
    return said;
  }

  // Payment page

  function payments(form) {
    const said = form.dataset;
    const button = $('pay-button');
    const reasons = reasonsOf(form);
    const groups = {};
    let stripe;

    // Without ways to pay, the client's credit pays all of it, and there is no form of Stripe's.
    const way = () => form.querySelector('#ways:not([hidden]) input[name="method"]:checked')?.value || 'credit';
    const saves = () => ($('save')?.checked ? 'off_session' : null);

    function group(kind) {
      if (groups[kind]) return groups[kind];
      const options = {
        mode: 'payment',
        amount: Number(said.stripeAmount),
        currency: said.currency.toLowerCase(),
        appearance: appearance(),
        setupFutureUsage: kind === 'card' ? saves() : null,
      };
      // Must fit the intent that is made later: cards alone, a debit alone, or all else that the account has switched on.
      if (kind === 'card') options.paymentMethodTypes = ['card'];
      else if (kind === 'debit') options.paymentMethodTypes = [said.debit];
      else options.excludedPaymentMethodTypes = JSON.parse(said.notRedirect);
      groups[kind] = mount(stripe.elements(options), `#${kind}-form`, $(`${kind}-waiting`));
      return groups[kind];
    }

    // Browsers put the choice back after Back, and tell nobody.
    function show() {
      const kind = way();
      if ($(`${kind}-form`)) group(kind);
      if (kind === 'card') group(kind).update({ setupFutureUsage: saves() });
    }

    function otherWays() {
      const others = [...form.querySelectorAll('input[name="method"]:not(:checked)')];
      return others.map((radio) => ({
        href: `#${radio.id}`,
        words: `Pay with: ${radio.nextElementSibling.firstChild.textContent.trim()}`,
      }));
    }

    function refused(error, start, kind = way()) {
      return refusal(error, reasons, {
        offCard: kind === 'redirect' || kind === 'debit',
        others: otherWays(),
        sent: Boolean(start),
        look: start && { href: said.result + start.payment_id, words: LOOK },
      });
    }

    // Apple Pay and Google Pay by their own buttons, where the device has them. They pay as a card does.
    function showWallets() {
      if (!$('wallets')) return;
      const options = { mode: 'payment', amount: Number(said.stripeAmount), currency: said.currency.toLowerCase(), appearance: appearance() };
      groups.wallet = stripe.elements({ ...options, paymentMethodTypes: ['card'] });
      const others = { link: 'never', paypal: 'never', amazonPay: 'never', klarna: 'never' };
      const element = groups.wallet.create('expressCheckout', { paymentMethods: { applePay: 'auto', googlePay: 'auto', ...others } });
      element.on('ready', ({ availablePaymentMethods }) => ($('wallets-or').hidden = !availablePaymentMethods));
      // The sum in the wallet is the page's until it is closed: nothing changes it meanwhile.
      element.on('click', (event) => {
        if (button.getAttribute('aria-disabled') === 'true') return event.reject();
        clearError();
        working(button, 'Waiting for your wallet…');
        return event.resolve();
      });
      element.on('cancel', () => working(button, ''));
      element.on('confirm', (event) => attempt(form, button, () => pay('wallet'), () => event.paymentFailed({ reason: 'fail' })));
      element.mount('#wallets-buttons');
    }

    async function pay(chosen = way()) {
      const [kind, id] = chosen.split(':');
      const elements = kind === 'saved' || kind === 'credit' ? null : group(kind);
      const save = kind === 'card' && Boolean(saves());
      working(button, kind === 'credit' ? 'Using your credit…' : 'Checking your details…');
      if (elements) {
        const checked = await submit(elements, button, 'Checking your details…');
        if (checked.error) throw refused(checked.error, null, kind);
      }
      const method = kind === 'wallet' ? { kind: 'card' } : kind === 'saved' ? { kind, payment_method_id: id } : kind === 'credit' ? null : { kind };
      const credit = said.credit ? JSON.parse(said.credit) : null;
      const consent = kind === 'debit' ? said.mandate : save ? said.saving : '';
      const what = said.deposit ? { deposit: JSON.parse(said.deposit) } : { invoices: JSON.parse(said.shares) };
      const body = { ...what, method, consent, ...(credit && { credit }), ...(save && { save }) };
      const look = { href: said.look, words: LOOK };
      const once = { key: keyOf(JSON.stringify(body)), lost: new Refused(reasons.unknown, [look], UNKNOWN) };
      const start = await ask(form, body, kind === 'credit' ? once : {});
      if (kind !== 'credit') working(button, kind === 'redirect' ? 'Taking you to the payment system…' : 'Waiting for your bank. Please keep this page open.');
      await confirm(start, elements, kind);
      location.assign(said.result + start.payment_id);
    }

    async function confirm(start, elements, kind) {
      if (!start.client_secret) return; // nothing left to confirm: the result page says what came of it
      const confirmParams = { return_url: new URL(said.result + start.payment_id, location.href).href };
      if (!elements) confirmParams.payment_method = start.saved_method;
      let outcome;
      try {
        const wanted = { clientSecret: start.client_secret, confirmParams, redirect: 'if_required' };
        outcome = await stripe.confirmPayment(elements ? { elements, ...wanted } : wanted);
      } catch {
        throw refused({}, start, kind);
      }
      if (outcome.error && !isDone(outcome.error)) throw refused(outcome.error, start, kind);
    }

    form.addEventListener('change', (event) => {
      if (event.target.name === 'method') {
        clearError();
      }
      if (event.target.name === 'method' || event.target.id === 'save') show();
    });
    submits(form, button, pay);
    restored = changed = () => {};
    lost = () => showError(new Refused(reasons.unreachable));
    if (way() === 'credit') return;
    stripe = openStripe(said);
    show();
    try {
      showWallets();
    } catch {
      $('wallets').remove(); // the other ways are left
      delete groups.wallet;
    }
    restored = show;
    changed = () => {
      for (const each of Object.values(groups)) each.update({ amount: Number(said.stripeAmount) });
      show();
    };
  }

  // Add a card

  function setup(form) {
    const said = form.dataset;
    const button = $('save-button');
    const reasons = reasonsOf(form);
    const stripe = openStripe(said);
    const options = { mode: 'setup', currency: said.currency.toLowerCase(), paymentMethodTypes: ['card'], appearance: appearance() };
    const elements = mount(stripe.elements(options), '#card-form', $('card-waiting'));

    const look = { href: said.methods, words: 'See your saved cards' };
    const refused = (error, sent) => refusal(error, reasons, { sent, look });

    submits(form, button, async () => {
      const checked = await submit(elements, button, 'Checking your card…');
      if (checked.error) throw refused(checked.error, false);
      const start = await ask(form, { consent: said.saving });
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
      await attempt(form, button, action);
    });
  }

  async function attempt(form, button, action, failed = () => {}) {
    try {
      await action();
    } catch (error) {
      failed();
      working(button, '');
      showError(error instanceof Refused ? error : new Refused(reasonsOf(form).unreachable));
    }
  }

  function start() {
    try {
      if ($('pay')) payments($('pay'));
      if ($('setup')) setup($('setup'));
    } catch (error) {
      showError(error instanceof Refused ? error : noForm());
    }
  }

  let restored = () => {};
  let changed = () => {};
  let lost = () => {};
  document.addEventListener('choice:changed', () => changed());
  document.addEventListener('choice:lost', () => lost());
  document.addEventListener('page:swapped', start);
  window.addEventListener('pageshow', () => restored());
  start();
})();
