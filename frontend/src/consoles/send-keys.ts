/** Keys that a browser or the person's own system would keep for itself; by their QEMU names, pressed together. */
export interface KeyChord {
  label: string
  keys: readonly string[]
}

export const COMMON_CHORDS: readonly KeyChord[] = [
  { label: 'Ctrl+Alt+Del', keys: ['ctrl', 'alt', 'delete'] },
  { label: 'Esc', keys: ['esc'] },
  { label: 'Alt+Tab', keys: ['alt', 'tab'] },
  { label: 'Alt+F4', keys: ['alt', 'f4'] },
  { label: 'Ctrl+W', keys: ['ctrl', 'w'] },
  { label: 'Windows', keys: ['meta_l'] },
  { label: 'Print Screen', keys: ['print'] },
  { label: 'SysRq', keys: ['alt', 'sysrq'] },
]

/** Linux’s virtual terminals. */
export const TERMINAL_CHORDS: readonly KeyChord[] = Array.from({ length: 12 }, (_none, at) => ({
  label: `Ctrl+Alt+F${at + 1}`,
  keys: ['ctrl', 'alt', `f${at + 1}`],
}))
