// Pointer, wheel and keys over the strip.

const STILL = 4;

function rowAt(strip, y) {
  return strip.layout.rows.find((row) => y >= row.y - 4 && y < row.y + row.height + 4)?.kind;
}

function picked(strip, event, box) {
  const { store } = strip;
  const x = event.clientX - box.left;
  if (x < strip.scale.left) {
    const row = strip.layout.rows.find((one) => one.kind === 'folded' && Math.abs(event.clientY - box.top - one.y - 8) < 14);
    if (row) store.set({ layer: row.index });
    return;
  }
  const t = strip.scale.step(x);
  store.point(t);
  const below = ['gradient', 'arcs'].includes(rowAt(strip, event.clientY - box.top));
  if (event.shiftKey || below) store.pickStep(t);
  else store.pickLoss(t);
}

function pointer(strip) {
  const { root, store } = strip;
  let held = null;
  root.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    held = { x: event.clientX, from: strip.scale.from, moved: false };
  });
  root.addEventListener('pointermove', (event) => {
    const box = root.getBoundingClientRect();
    if (!held) {
      if (event.clientX - box.left >= strip.scale.left) store.point(strip.scale.step(event.clientX - box.left));
      return;
    }
    const far = event.clientX - held.x;
    if (!held.moved && Math.abs(far) < STILL) return;
    if (!held.moved) root.setPointerCapture(event.pointerId);
    held.moved = true;
    if (strip.scale.count < store.trace.steps) strip.view(held.from - far / strip.scale.cell, strip.scale.count);
  });
  root.addEventListener('pointerup', (event) => {
    if (held && !held.moved) picked(strip, event, root.getBoundingClientRect());
    held = null;
  });
  root.addEventListener('pointercancel', () => (held = null));
}

// Sideways scrolls, with Ctrl (or a pinch) zooms; up and down stay the page's own.
function wheel(strip) {
  strip.root.addEventListener('wheel', (event) => {
    const { scale, store } = strip;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const x = event.clientX - strip.root.getBoundingClientRect().left;
      strip.zoom(Math.exp(event.deltaY * 0.004), scale.step(x));
    } else if (sideways && scale.count < store.trace.steps) {
      event.preventDefault();
      const by = (event.deltaX || event.deltaY) / scale.cell;
      strip.view(scale.from + (Math.abs(by) < 1 ? Math.sign(by) : by), scale.count);
    }
  }, { passive: false });
}

function keys(strip) {
  const { store } = strip;
  const move = (by) => {
    store.point(store.at + by);
    strip.reveal(store.at);
  };
  const cycle = (name, count) => store.set({ [name]: (store.state[name] + 1) % count });
  const actions = {
    ArrowLeft: () => move(-1), ArrowRight: () => move(1), PageUp: () => move(-10), PageDown: () => move(10),
    Home: () => move(-Infinity), End: () => move(Infinity),
    Enter: () => store.pickLoss(store.at), 'Shift+Enter': () => store.pickStep(store.at),
    ' ': () => store.pickLoss(store.at), Escape: () => store.pickStep(null),
    '[': () => store.moveWall(store.state.wall - 1), ']': () => store.moveWall(store.state.wall + 1),
    w: () => store.moveWall(store.at),
    '+': () => strip.zoom(0.5), '=': () => strip.zoom(0.5), '-': () => strip.zoom(2),
    0: () => strip.view(0, store.trace.steps),
    r: () => store.set({ scale: store.state.scale === 'relative' ? 'absolute' : 'relative' }),
    s: () => cycle('sample', store.trace.samples.length), l: () => cycle('layer', store.trace.layers.length),
  };
  strip.root.addEventListener('keydown', (event) => {
    if (event.target !== strip.root || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions[event.key === 'Enter' && event.shiftKey ? 'Shift+Enter' : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function gestures(strip) {
  pointer(strip);
  wheel(strip);
  keys(strip);
}
