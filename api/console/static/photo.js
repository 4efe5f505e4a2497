// A photo that is too large is said beside its field before anything is sent.
for (const field of document.querySelectorAll("input[type=file][data-most]")) {
  const said = document.getElementById(field.getAttribute("aria-describedby") ?? "fault-file");
  field.addEventListener("change", () => {
    const large = [...field.files].some((file) => file.size > Number(field.dataset.most));
    field.setCustomValidity(large ? field.dataset.tooLarge : "");
    field.toggleAttribute("aria-invalid", large);
    if (large) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", said.id);
    }
    said.textContent = large ? field.dataset.tooLarge : "";
    said.hidden = !large;
  });
}
