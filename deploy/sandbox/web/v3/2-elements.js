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
    Object.assign(this.frame.style, { height: "300px", margin: "-4px", width: "calc(100% + 8px)" });
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
  ask(type, extra) {
    if (!this.channel) throw new IntegrationError("The Payment Element is not mounted.");
    return this.channel.ask({ type, ...extra });
  }
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
    const anyRedirect = "aud cad chf czk dkk eur gbp hkd nok nzd pln sek sgd usd".split(" ");
    const redirects = mode !== "setup" && (!currency || anyRedirect.includes(currency.toLowerCase()));
    return (redirects ? ["card", "paypal"] : ["card"]).filter((method) => !excludedPaymentMethodTypes.includes(method));
  }
  create(type, options) {
    if (type !== "payment") throw new IntegrationError(`The sandbox has no element of type ${type}.`);
    if (this.element) throw new IntegrationError("Can only create one Element of type payment.");
    this.element = new PaymentElement(this, options);
    return this.element;
  }
  getElement(type) {
    return (type === "payment" && this.element) || null;
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
    const { error, selected } = await this.element.ask("validate");
    this.submitted = !error;
    return error ? { error } : { selectedPaymentMethod: selected };
  }
}
