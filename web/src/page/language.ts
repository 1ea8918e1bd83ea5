// Which language the page speaks: the one chosen before, else the browser's, else English.
import { en } from './strings/en.ts';
import { ko } from './strings/ko.ts';
import type { Strings } from './strings/strings.ts';

export const languages = { en, ko } satisfies Record<string, Strings>;
export type Language = keyof typeof languages;

const KEY = 'duet.language';

/** The first of `preferred` that there is. */
export function choose(remembered: string | null, preferred: readonly string[]): Language {
  const wanted = [remembered ?? '', ...preferred].map((tag) => tag.toLowerCase().split('-')[0]);
  return (wanted.find((tag) => tag !== undefined && tag in languages) as Language | undefined) ?? 'en';
}

export function remembered(): Language {
  return choose(localStorage.getItem(KEY), navigator.languages);
}

export function remember(language: Language): void {
  localStorage.setItem(KEY, language);
}
