import { SandlabError } from '../domain/error.js'

/** QEMU's key names (qapi/ui.json, QKeyCode) that a PC keyboard has. */
const NAMED_KEYS = `
  shift shift_r ctrl ctrl_r alt alt_r meta_l meta_r menu compose
  esc tab ret spc backspace delete insert home end pgup pgdn up down left right
  caps_lock num_lock scroll_lock print sysrq pause
  minus equal bracket_left bracket_right backslash semicolon apostrophe grave_accent comma dot slash less
  kp_divide kp_multiply kp_subtract kp_add kp_enter kp_decimal
  kp_0 kp_1 kp_2 kp_3 kp_4 kp_5 kp_6 kp_7 kp_8 kp_9
  f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12
`
const LETTER_OR_DIGIT = /^[a-z0-9]$/
const QCODES: ReadonlySet<string> = new Set(NAMED_KEYS.trim().split(/\s+/))

/** Character → key on a US keyboard, as it is and with shift. */
const PLAIN: Record<string, string> = {
  ' ': 'spc',
  '\n': 'ret',
  '\t': 'tab',
  '-': 'minus',
  '=': 'equal',
  '[': 'bracket_left',
  ']': 'bracket_right',
  '\\': 'backslash',
  ';': 'semicolon',
  "'": 'apostrophe',
  '`': 'grave_accent',
  ',': 'comma',
  '.': 'dot',
  '/': 'slash',
}
const SHIFTED: Record<string, string> = {
  _: 'minus',
  '+': 'equal',
  '{': 'bracket_left',
  '}': 'bracket_right',
  '|': 'backslash',
  ':': 'semicolon',
  '"': 'apostrophe',
  '~': 'grave_accent',
  '<': 'comma',
  '>': 'dot',
  '?': 'slash',
  '!': '1',
  '@': '2',
  '#': '3',
  $: '4',
  '%': '5',
  '^': '6',
  '&': '7',
  '*': '8',
  '(': '9',
  ')': '0',
}

export function isQcode(key: string): boolean {
  return LETTER_OR_DIGIT.test(key) || QCODES.has(key)
}

/**
 * The strokes that type `text` on a US keyboard, one per character, keys of a stroke held together. CR LF is one Enter.
 * Throws `unsupported` naming the first character that such a keyboard does not have; then nothing is typed.
 */
export function keysForText(text: string): string[][] {
  return Array.from(text.replaceAll('\r\n', '\n').replaceAll('\r', '\n'), keysForCharacter)
}

function keysForCharacter(character: string): string[] {
  if (LETTER_OR_DIGIT.test(character)) return [character]
  if (/^[A-Z]$/.test(character)) return ['shift', character.toLowerCase()]
  const plain = PLAIN[character]
  if (plain !== undefined) return [plain]
  const shifted = SHIFTED[character]
  if (shifted !== undefined) return ['shift', shifted]
  throw new SandlabError(
    'unsupported',
    `Could not type ${JSON.stringify(character)}: a US keyboard has no key for it.`,
    {
      hint: 'Type it in the console yourself, or paste it on the serial console. Nothing was typed.',
      details: { character },
    },
  )
}
