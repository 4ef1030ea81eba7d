"use strict";
// Keys for who rates without a mouse. The form works without this script as well.
(() => {
  const form = document.getElementById("rate");
  if (!form) return;
  const questions = [...form.querySelectorAll("fieldset[data-question]")];
  const pairs = { 1: "left", 2: "right", 0: "tie" };
  const open = () => questions.find((one) => !one.querySelector("input:checked"));
  const here = () => {
    const own = document.activeElement && document.activeElement.closest("fieldset[data-question]");
    return own || open();
  };
  const focus = (question) => {
    const wanted = question.querySelector("input:checked") || question.querySelector("input");
    wanted.focus();
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.tagName === "TEXTAREA") {
      if (event.key === "Escape") (form.querySelector("button.go")).focus();
      return;
    }
    if (event.key === "c") {
      event.preventDefault();
      form.querySelector("textarea").focus();
      return;
    }
    if (event.key === "Enter" && event.target.type === "radio") {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    const value = form.dataset.mode === "pairwise" ? pairs[event.key] : event.key;
    const question = here();
    if (!value || !question) return;
    const input = [...question.querySelectorAll("input")].find((one) => one.value === value);
    if (!input) return;
    event.preventDefault();
    input.checked = true;
    const next = open();
    if (next) focus(next);
    else form.querySelector("button.go").focus();
  });
  const first = open() || questions[0];
  if (first) focus(first);
})();
