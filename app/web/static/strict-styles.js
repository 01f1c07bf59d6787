// Before Plotly: the page's policy allows no inline styles, so what Plotly writes as text goes another way.
"use strict";
{
  // A style *attribute* is refused; the same declarations set through the object model are not.
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
  // Its style *elements* are for maps, which no figure here is; the rules of its own go into plots.css by id.
  const createElement = document.createElement;
  document.createElement = function (name, ...more) {
    return createElement.call(document, name === "style" ? "meta" : name, ...more);
  };
}
