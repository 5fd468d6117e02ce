/**
 * The layouts that QEMU knows for its VNC server (`-k`, its `keymaps/` folder), by their names there, with words for
 * people. Only what translates characters into keys needs one: Guacamole does, noVNC sends the keys themselves.
 */
export const KEYBOARDS = {
  'en-us': 'English (US)',
  'en-gb': 'English (UK)',
  ar: 'Arabic',
  bepo: 'French (bépo)',
  cz: 'Czech',
  da: 'Danish',
  de: 'German',
  'de-ch': 'German (Switzerland)',
  es: 'Spanish',
  et: 'Estonian',
  fi: 'Finnish',
  fo: 'Faroese',
  fr: 'French',
  'fr-be': 'French (Belgium)',
  'fr-ca': 'French (Canada)',
  'fr-ch': 'French (Switzerland)',
  hr: 'Croatian',
  hu: 'Hungarian',
  is: 'Icelandic',
  it: 'Italian',
  ja: 'Japanese',
  lt: 'Lithuanian',
  lv: 'Latvian',
  mk: 'Macedonian',
  nl: 'Dutch',
  no: 'Norwegian',
  pl: 'Polish',
  pt: 'Portuguese',
  'pt-br': 'Portuguese (Brazil)',
  ru: 'Russian',
  sl: 'Slovenian',
  sv: 'Swedish',
  th: 'Thai',
  tr: 'Turkish',
} as const
export type Keyboard = keyof typeof KEYBOARDS

export const KEYBOARD_NAMES = Object.keys(KEYBOARDS) as [Keyboard, ...Keyboard[]] // what an enum of zod's wants

export function isKeyboard(name: string): name is Keyboard {
  return Object.hasOwn(KEYBOARDS, name)
}
