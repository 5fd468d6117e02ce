/** In a console all keys belong to the guest, except this chord, which gives the keyboard back to the page. */
export const RELEASE_CHORD = 'Ctrl+Alt+Shift'

const MODIFIERS = new Set(['Control', 'Alt', 'Shift'])

/** The moment when all three are held and nothing else was pressed. */
export function isReleaseChord(
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'shiftKey' | 'type'>,
): boolean {
  return event.type === 'keydown' && event.ctrlKey && event.altKey && event.shiftKey && MODIFIERS.has(event.key)
}
