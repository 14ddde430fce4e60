// Light or dark: the system's choice, until another is made here.

import { reread } from 'colour';
import { h } from 'dom';

const KEY = 'throughtime-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Files and frames may have no storage; the choice then lasts as long as the page.
  }
}

export function theme(root, changed) {
  let chosen = kept();
  const button = h('button', { type: 'button', class: 'quiet', id: 'theme' });
  const apply = () => {
    const now = chosen ?? (dark.matches ? 'dark' : 'light');
    document.documentElement.dataset.theme = now;
    button.textContent = now === 'dark' ? 'light' : 'dark';
    button.setAttribute('aria-label', `${now === 'dark' ? 'light' : 'dark'} theme`);
    reread();
    changed();
  };
  button.addEventListener('click', () => {
    chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    keep(chosen);
    apply();
  });
  dark.addEventListener('change', apply);
  root.append(button);
  apply();
}
