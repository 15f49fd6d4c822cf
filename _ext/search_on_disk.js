// A page that was opened from the disk may read no other page, as Sphinx's search does for its
// excerpts. The texts of all pages come as a script instead (_ext/search_on_disk.py).
if (location.protocol === "file:") {
  const texts = new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = "_static/search_texts.js";
    script.onload = () => resolve(SEARCH_TEXTS);
    document.head.append(script);
  });
  window.fetch = async (address) => {
    const page = address.replace(/^\.\//, "").replace(/\.html$/, "");
    return { text: async () => (await texts)[page] ?? "" };
  };
}
