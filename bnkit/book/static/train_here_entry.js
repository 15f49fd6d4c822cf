// The one name that the explorable leaves on a page: it replaces a poster by the explorable.
globalThis.bnkitTrainHere = (poster, options) => {
  if (!document.getElementById("bntr-style")) document.head.append(Object.assign(document.createElement("style"), { id: "bntr-style", textContent: STYLE }));
  const source = () => {
    const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
    const worker = new Worker(url);
    URL.revokeObjectURL(url);
    return worker;
  };
  return mount(poster, { ...options, source });
};
