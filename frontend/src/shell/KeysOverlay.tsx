import { KEYS, type KeyGroup } from './keys.js'
import { usePlaces } from './places.js'
import classes from './KeysOverlay.module.css'
import { Dialog } from '../components/Dialog.js'

/** The keys, as a list that one can learn. */
export function KeysOverlay({ onClose }: { onClose: () => void }) {
  const goTo: KeyGroup = {
    title: 'Go to',
    keys: usePlaces().map(({ key, label }) => ({ press: ['g', key], does: label })),
  }
  return (
    <Dialog onClose={onClose} title="Keys" width={620}>
      <div className={classes['groups']}>
        {[...KEYS.slice(0, 1), goTo, ...KEYS.slice(1)].map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.keys.map(({ press, does }) => (
                <div key={does} className={classes['row']}>
                  <dt>
                    {press.map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
