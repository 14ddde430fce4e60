// Elements. Text only ever becomes a text node: nothing here parses markup.

const SVG = 'http://www.w3.org/2000/svg';

// h('span.aside', { title: '…' }, 'text', node): classes in the name, attributes only where there are some.
function made(create, said, rest) {
  const [tag, ...classes] = said.split('.');
  const node = create(tag);
  if (classes.length) node.setAttribute('class', classes.join(' '));
  const dressed = rest[0] && Object.getPrototypeOf(rest[0]) === Object.prototype;
  for (const [name, value] of Object.entries(dressed ? rest[0] : {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...rest.slice(dressed ? 1 : 0).flat(Infinity).filter(Boolean));
  return node;
}

export const h = (said, ...rest) => made((tag) => document.createElement(tag), said, rest);

export const s = (said, ...rest) => made((tag) => document.createElementNS(SVG, tag), said, rest);

export const dress = (node, attributes) => Object.entries(attributes).forEach(([name, to]) => node.setAttribute(name, to));

export const place = (id) => document.getElementById(id);

// Hatching, once a drawing: what is cut, what is too small for the numbers, what belongs to another sequence.
export function patterns(prefix) {
  const hatch = (name, size, turn) =>
    s('pattern', { id: `${prefix}-${name}`, width: size, height: size, patternUnits: 'userSpaceOnUse',
      patternTransform: `rotate(${turn})` },
      s('rect', { width: size, height: size, class: `hatch-${name}-ground` }),
      s('line', { x1: 0, y1: 0, x2: 0, y2: size, class: `hatch-${name}` }));
  return s('defs', hatch('cut', 6, 45), hatch('below', 4, -45), hatch('zero', 4, 0), hatch('reset', 8, 90));
}

export function measured(root, redraw) {
  let width = 0;
  new ResizeObserver(() => {
    if (Math.round(root.clientWidth) === width) return;
    width = Math.round(root.clientWidth);
    redraw();
  }).observe(root);
}
