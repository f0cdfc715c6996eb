// Makes the frame as high as its letter, so that nobody scrolls in two places. The letter runs no script of its own.
const letter = document.querySelector(".letter");
function fit() {
  letter.style.height = "0";
  letter.style.height = `${letter.contentDocument.documentElement.scrollHeight + 2}px`;
}
letter.addEventListener("load", fit);
addEventListener("resize", fit);
if (letter.contentDocument.readyState === "complete") fit();
