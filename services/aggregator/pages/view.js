// What is looked at stands in the address, so that a view can be shared; native selects change it.
const NAMES = ["span", "rows", "method", "compare"];

export const viewOf = (form, changed) => {
  const chosen = () => Object.fromEntries(NAMES.map((name) => [name, form.elements[name].value]));
  let row = new URLSearchParams(location.search).get("row") ?? "";

  const address = (path) => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(chosen())) {
      if (value !== form.elements[name].options[0].value) query.set(name, value);
    }
    if (row) query.set("row", row);
    const text = query.toString();
    return text ? `${path}?${text}` : path;
  };
  const tell = () => {
    form.elements.rows.disabled = Boolean(form.elements.method.value);
    history.replaceState(null, "", address(location.pathname));
    changed();
  };
  form.addEventListener("change", (event) => {
    if (["span", "rows", "method"].includes(event.target.name)) row = event.target.name === "span" ? row : "";
    tell();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.rows.disabled = Boolean(form.elements.method.value);
  return {
    address,
    get: (name) => form.elements[name].value,
    label: (name) => form.elements[name].selectedOptions[0].textContent,
    row: () => row,
    choose: (value) => { row = value; tell(); },
  };
};
