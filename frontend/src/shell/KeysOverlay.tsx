import { Modal } from '@mantine/core'
import { KEYS, type KeyGroup } from './keys.js'
import { usePlaces } from './places.js'
import classes from './KeysOverlay.module.css'

/** The keys, as a list that one can learn. */
export function KeysOverlay({ onClose }: { onClose: () => void }) {
  const goTo: KeyGroup = {
    title: 'Go to',
    keys: usePlaces().map(({ key, label }) => ({ press: ['g', key], does: label })),
  }
  return (
    <Modal opened onClose={onClose} title="Keys" size="lg">
      <div className={classes['groups']}>
        {[...KEYS, goTo].map((group) => (
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
    </Modal>
  )
}
