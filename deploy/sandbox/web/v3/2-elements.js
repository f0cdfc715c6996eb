// Elements: the payment form, which lives in a frame.

// The colour that the page has behind the element: the frame is given the same.
function surface(place) {
  for (let node = place; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor;
    if (!/^rgba\(.*, 0\)$|^transparent$/.test(color)) return color;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark")
    ? "#121212"
    : "#ffffff";
}

class PaymentElement {
  constructor(elements, options) {
    this.elements = elements;
    this.options = options || {};
    this.handlers = new Map();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.configure());
  }
  mount(target) {
    const place = typeof target === "string" ? document.querySelector(target) : target;
    if (!place) throw new IntegrationError(`Invalid DOM element: ${target} was not found.`);
    this.unmount();
    this.place = place;
    place.classList.add("StripeElement");
    this.frame = makeFrame(`${ORIGIN}/v3/element.html#${encodeURIComponent(location.origin)}`, "Secure payment details");
    Object.assign(this.frame.style, { height: "1px", margin: "-4px", width: "calc(100% + 8px)" });
    this.channel = new Channel(this.frame, (message) => this.hear(message));
    this.waiting = setTimeout(() => this.emit("loaderror", { elementType: "payment", error: UNREACHABLE }), LOAD_TIMEOUT);
    place.replaceChildren(this.frame);
    return this;
  }
  unmount() {
    clearTimeout(this.waiting);
    this.channel?.close();
    this.frame?.remove();
    this.place?.classList.remove("StripeElement");
    this.frame = this.channel = this.place = undefined;
    this.ready = false;
    return this;
  }
  destroy() {
    this.unmount();
    this.elements.forget(this);
  }
  update(options) {
    Object.assign(this.options, options);
    this.configure();
  }
  configure() {
    const { mode, amount, currency, appearance, locale, business } = this.elements.options;
    this.channel?.send({
      type: "configure",
      options: { mode, amount, currency, appearance, locale, business, ...this.options },
      methods: this.elements.methods(),
      saves: mode === "setup" || Boolean(this.elements.options.setupFutureUsage),
      surface: surface(this.place),
      access: this.elements.stripe.access,
    });
  }
  hear(message) {
    if (message.type === "loaded") {
      clearTimeout(this.waiting);
      this.configure();
    } else if (message.type === "height") this.frame.style.height = `${message.height}px`;
    else if (message.type === "scheme") this.frame.style.colorScheme = message.scheme;
    else if (message.type === "event") {
      if (message.name === "change") this.elements.submitted = false;
      if (message.name === "ready") this.ready = true;
      this.emit(message.name, { elementType: "payment", ...message.detail });
    }
  }
  on(name, handler) {
    this.handlers.set(name, [...(this.handlers.get(name) || []), handler]);
    return this;
  }
  once(name, handler) {
    const once = (event) => (this.off(name, once), handler(event));
    return this.on(name, once);
  }
  off(name, handler) {
    this.handlers.set(name, handler ? (this.handlers.get(name) || []).filter((h) => h !== handler) : []);
    return this;
  }
  emit(name, detail) {
    for (const handler of this.handlers.get(name) || []) handler(detail);
  }
  focus() {
    this.frame?.focus();
    this.channel?.send({ type: "focus" });
  }
  blur() {
    this.frame?.blur();
  }
  collapse() {}
  answer(type, extra) {
    if (!this.ready) throw new IntegrationError("Elements should have a mounted Payment Element, and it must be ready.");
    return this.channel.ask({ type, ...extra });
  }
}

// The button of a wallet, where the browser has one: localStorage["sandbox-wallet"] is its name, such as googlePay.
class ExpressCheckoutElement {
  constructor(elements, options) {
    this.elements = elements;
    this.options = options || {};
    this.handlers = new Map();
  }
  mount(target) {
    const place = typeof target === "string" ? document.querySelector(target) : target;
    if (!place) throw new IntegrationError(`Invalid DOM element: ${target} was not found.`);
    const wallet = localStorage.getItem("sandbox-wallet");
    const shown = wallet && this.options.paymentMethods?.[wallet] !== "never" && this.elements.methods().includes("card");
    if (shown) place.replaceChildren(this.button(wallet));
    setTimeout(() => this.emit("ready", { elementType: "expressCheckout", availablePaymentMethods: shown ? { [wallet]: true } : undefined }));
    return this;
  }
  button(wallet) {
    const name = wallet === "applePay" ? "Apple Pay" : "Google Pay";
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${name} (sandbox)` });
    Object.assign(button.style, { width: "100%", minHeight: "48px", border: "0", borderRadius: "10px", background: "#000", color: "#fff", font: "inherit" });
    button.addEventListener("click", () => {
      const resolve = () => this.ask(name);
      this.emit("click", { elementType: "expressCheckout", expressPaymentType: wallet, resolve, reject: () => {} });
    });
    return button;
  }
  // The wallet's own sheet, over the page.
  ask(name) {
    const { amount, currency } = this.elements.options;
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", name);
    const choose = (words, event) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
      button.addEventListener("click", () => {
        dialog.close();
        dialog.remove();
        this.emit(event, { elementType: "expressCheckout", paymentFailed: () => {} });
      });
      return button;
    };
    const sum = Object.assign(document.createElement("p"), { textContent: `${amount} ${currency}` });
    dialog.append(sum, choose("Confirm in the wallet", "confirm"), choose("Close the wallet", "cancel"));
    document.body.append(dialog);
    dialog.showModal();
  }
  async answer(type) {
    if (type === "validate") return { selected: "card" };
    const card = { number: "4242424242424242", exp_month: 12, exp_year: 2034, cvc: "123" };
    const made = await this.elements.stripe.call("POST", "payment_methods", { type: "card", card });
    return made.error ? { error: made.error } : { method: made.id };
  }
  configure() {}
  on(name, handler) {
    this.handlers.set(name, [...(this.handlers.get(name) || []), handler]);
    return this;
  }
  emit(name, detail) {
    for (const handler of this.handlers.get(name) || []) handler(detail);
  }
  unmount() {}
}

class Elements {
  constructor(stripe, options) {
    this.stripe = stripe;
    this.options = { ...options };
    this.submitted = false;
  }
  methods() {
    const { paymentMethodTypes, excludedPaymentMethodTypes = [], mode, currency } = this.options;
    if (paymentMethodTypes) return paymentMethodTypes;
    const currencies = {
      paypal: "aud cad chf czk dkk eur gbp hkd nok nzd pln sek sgd usd", ideal: "eur", bancontact: "eur", eps: "eur", p24: "eur pln",
    };
    const takes = (method) => !currency || currencies[method].split(" ").includes(currency.toLowerCase());
    const redirects = mode === "setup" ? [] : Object.keys(currencies).filter(takes);
    return ["card", ...redirects].filter((method) => !excludedPaymentMethodTypes.includes(method));
  }
  create(type, options) {
    const kinds = { payment: PaymentElement, expressCheckout: ExpressCheckoutElement };
    if (!kinds[type]) throw new IntegrationError(`The sandbox has no element of type ${type}.`);
    if (this.element) throw new IntegrationError(`Can only create one Element of type ${type} here.`);
    this.element = new kinds[type](this, options);
    this.type = type;
    return this.element;
  }
  getElement(type) {
    return (type === this.type && this.element) || null;
  }
  forget() {
    this.element = undefined;
  }
  update(options) {
    Object.assign(this.options, options);
    this.submitted = false;
    this.element?.configure();
  }
  async fetchUpdates() {
    return {};
  }
  async submit() {
    if (!this.element) throw new IntegrationError("Elements has no Payment Element.");
    const { error, selected } = await this.element.answer("validate");
    this.submitted = !error;
    return error ? { error } : { selectedPaymentMethod: selected };
  }
}
