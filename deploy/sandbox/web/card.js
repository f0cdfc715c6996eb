// What there is to know about card numbers: brands, how they are written, whether they can be right.
"use strict";
const Card = (() => {
  const BRANDS = [
    { name: "amex", label: "American Express", starts: /^3[47]/, lengths: [15], groups: [4, 6, 5], cvc: 4 },
    { name: "diners", label: "Diners Club", starts: /^3[0689]/, lengths: [14, 16], groups: [4, 6, 4], cvc: 3 },
    { name: "discover", label: "Discover", starts: /^6(?:011|4|5)/, lengths: [16], groups: [4, 4, 4, 4], cvc: 3 },
    { name: "jcb", label: "JCB", starts: /^35/, lengths: [16], groups: [4, 4, 4, 4], cvc: 3 },
    { name: "unionpay", label: "UnionPay", starts: /^62/, lengths: [16, 17, 18, 19], groups: [4, 4, 4, 4, 3], cvc: 3 },
    { name: "mastercard", label: "Mastercard", starts: /^(?:5[1-5]|2[2-7])/, lengths: [16], groups: [4, 4, 4, 4], cvc: 3 },
    { name: "visa", label: "Visa", starts: /^4/, lengths: [16], groups: [4, 4, 4, 4], cvc: 3 },
  ];
  const UNKNOWN = { name: "unknown", label: "Card", lengths: [16], groups: [4, 4, 4, 4, 3], cvc: 3 };
  const digits = (text) => text.replace(/\D/g, "");
  const brand = (number) => BRANDS.find((b) => b.starts.test(number)) || UNKNOWN;

  function format(number) {
    const { groups, lengths } = brand(number);
    let rest = number.slice(0, Math.max(...lengths));
    const parts = [];
    for (const size of groups) {
      if (rest) parts.push(rest.slice(0, size));
      rest = rest.slice(size);
    }
    return parts.join(" ");
  }

  function passesCheckDigit(number) {
    const sum = [...number].reverse().reduce((total, digit, place) => {
      const value = Number(digit) * (place % 2 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    return sum % 10 === 0;
  }

  function numberError(number) {
    const { lengths } = brand(number);
    if (number.length < Math.min(...lengths)) return ["incomplete_number", "Your card number is incomplete."];
    if (!lengths.includes(number.length) || !passesCheckDigit(number)) return ["invalid_number", "Your card number is invalid."];
    return null;
  }

  function expiryError(text, today = new Date()) {
    const [month, year] = expiry(text);
    if (!month || String(year).length < 4) return ["incomplete_expiry", "Your card’s expiry date is incomplete."];
    if (month > 12) return ["invalid_expiry_month", "Your card’s expiry month is not a month."];
    const past = year < today.getFullYear() || (year === today.getFullYear() && month < today.getMonth() + 1);
    if (past) return ["invalid_expiry_year_past", "Your card’s expiry date is in the past."];
    return year > today.getFullYear() + 50 ? ["invalid_expiry_year", "Your card’s expiry year is invalid."] : null;
  }

  function cvcError(text, number) {
    return text.length === brand(number).cvc || (text.length === 4 && brand(number) === UNKNOWN)
      ? null
      : ["incomplete_cvc", "Your card’s security code is incomplete."];
  }

  // "12 / 34" as [12, 2034]; a year still being typed stays short.
  function expiry(text) {
    const all = digits(text);
    const year = all.slice(2);
    return [Number(all.slice(0, 2)), year.length === 2 ? 2000 + Number(year) : Number(year)];
  }

  function formatExpiry(text, erasing) {
    let all = digits(text).slice(0, 4);
    if (/^[2-9]/.test(all)) all = `0${all}`.slice(0, 4);
    if (all.length > 2 || (all.length === 2 && !erasing)) return `${all.slice(0, 2)} / ${all.slice(2)}`;
    return all;
  }

  return { brand, cvcError, digits, expiry, expiryError, format, formatExpiry, numberError };
})();
