import { useClipboard } from '@mantine/hooks'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { IconAction } from './ActionButton.js'

/** Copies a text. Without a secure address browsers forbid it; then the button says so. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const clipboard = useClipboard({ timeout: 1500 })
  const failed = clipboard.error !== null
  const name = failed ? 'Select the text and press Ctrl C: this address may not use the clipboard' : label
  return (
    <IconAction label={clipboard.copied ? 'Copied' : name} size={24} onClick={() => clipboard.copy(text)}>
      {clipboard.copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
    </IconAction>
  )
}
