// code that is wider than its page can be scrolled by keyboard, too
const scrolled = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll("pre > code").forEach((code) => scrolled.observe(code));
