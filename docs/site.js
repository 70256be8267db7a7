// code that is wider than its page can be scrolled by keyboard, too
function check(code) {
  if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
  else code.removeAttribute("tabindex");
}
const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => check(target)));
const codes = document.querySelectorAll("pre > code");
codes.forEach((code) => {
  check(code);
  resized.observe(code);
});
document.fonts.ready.then(() => codes.forEach(check)); // another font is wider, in a box of the same size
