import type { ConsoleKind } from '@domain/console.js'
import classes from './ConsoleBar.module.css'
import { ConsoleDialog } from './ConsoleDialog.js'
import { RELEASE_CHORD } from './release-chord.js'

const SERIAL_KEYS = [
  ['Ctrl+Shift+C', 'copy what is selected; also Ctrl+Insert'],
  ['Ctrl+Shift+V', 'paste; also Shift+Insert'],
  ['Ctrl+Shift+F', 'find in what was said'],
  ['Ctrl+click', 'open an address'],
  ['Shift+right click', 'the browser’s own menu'],
] as const

const NOTES = {
  serial:
    'One person types at a time. The line does not tell the guest how large your terminal is: when an editor looks broken, use “Send size”.',
  screen:
    'One person types at a time; who comes to another’s node sees first and may take control. What the browser keeps for itself (Ctrl+W, Alt+Tab) is under “Send keys”; in full screen most of it reaches the guest. Are characters wrong? Set the keyboard layout on the node’s settings, or switch to Direct, which sends key positions. There is no shared clipboard: guests have no agent for one. “Type text” brings text in; what the guest itself copies comes out where it can say so.',
  ssh: 'A shell of your own on the node: nobody else sees it, and it ends when this console is closed. SandLabX signs in by a key of its own that it gave the node when it was made; the node needs no internet for it.',
} as const

/** The keys that are not the guest's. */
export function ConsoleHelp({ kind, onClose }: { kind: ConsoleKind; onClose: () => void }) {
  return (
    <ConsoleDialog title="In a console" onClose={onClose}>
      <dl className={classes['help']}>
        <dt>
          <kbd>{RELEASE_CHORD}</kbd>
        </dt>
        <dd>gives the keyboard back to the page; all other keys belong to the guest</dd>
        {kind !== 'screen' &&
          SERIAL_KEYS.map(([keys, what]) => (
            <div key={keys} className={classes['pair']}>
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        <dt>
          <kbd>Esc</kbd>
        </dt>
        <dd>belongs to the guest; hold it to leave the full screen</dd>
      </dl>
      <p className={classes['helpNote']}>{NOTES[kind]}</p>
    </ConsoleDialog>
  )
}
