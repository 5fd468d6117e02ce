import type { Terminal } from '@xterm/xterm'

type Key = Pick<KeyboardEvent, 'code' | 'ctrlKey' | 'shiftKey' | 'altKey' | 'metaKey'>

const isCtrlShift = (key: Key, code: string) =>
  key.code === code && key.ctrlKey && key.shiftKey && !key.altKey && !key.metaKey
const isMacCommand = (key: Key, code: string) => key.code === code && key.metaKey && !key.ctrlKey && !key.altKey

export const isCopyKey = (key: Key) => isCtrlShift(key, 'KeyC') || isMacCommand(key, 'KeyC') || isCtrlInsert(key)
export const isPasteKey = (key: Key) => isCtrlShift(key, 'KeyV') || isMacCommand(key, 'KeyV') || isShiftInsert(key)
export const isFindKey = (key: Key) => isCtrlShift(key, 'KeyF') || isMacCommand(key, 'KeyF')

const isCtrlInsert = ({ code, ctrlKey, shiftKey, altKey }: Key) => code === 'Insert' && ctrlKey && !shiftKey && !altKey
const isShiftInsert = ({ code, ctrlKey, shiftKey, altKey }: Key) => code === 'Insert' && shiftKey && !ctrlKey && !altKey

/** Where the page is not on https or localhost, browsers lend it no clipboard; then the old command still copies. */
export function copySelection(xterm: Terminal): void {
  if (!xterm.hasSelection()) return
  const copied = navigator.clipboard?.writeText(xterm.getSelection()) ?? Promise.reject(new Error('no clipboard'))
  copied.catch(() => document.execCommand('copy')) // xterm puts its selection into that event
}

/** Undefined when it can be read; else why not. */
export function pasteRefusal(): string | undefined {
  return typeof navigator.clipboard?.readText === 'function' ? undefined : 'Press Ctrl+Shift+V to paste.'
}

export async function pasteInto(xterm: Terminal): Promise<void> {
  xterm.focus()
  const text = await navigator.clipboard.readText().catch(() => '') // the person said no to the browser's question
  if (text !== '') xterm.paste(text)
}
