import type { Operation } from '@domain/operation.js'
import classes from './OperationPage.module.css'

const NOUNS: Record<Operation['resources'][number]['type'], string> = {
  disk: 'Disk',
  record: 'Record',
  layer: 'Layer',
  image: 'Image',
  folder: 'Folder',
  trash: 'Trash',
  snapshot: 'Snapshot',
  drive: 'Drive',
  memory: 'Memory',
}
const SHOWN = 50

/** What a transaction makes and takes away: all of it or nothing. */
export function OperationResources({ operation }: { operation: Operation }) {
  const { resources } = operation
  return (
    <section className={classes['section']}>
      <header>
        <h2>Files and records</h2>
        <span>{resources.length}</span>
      </header>
      <ul className={classes['resources']}>
        {resources.slice(0, SHOWN).map(({ type, id, finalPath }, index) => (
          <li key={`${id}-${index}`}>
            <span className={classes['type']}>{NOUNS[type]}</span>
            <code title={finalPath ? `${id}, then ${finalPath}` : id}>{finalPath ?? id}</code>
          </li>
        ))}
      </ul>
      {resources.length > SHOWN && (
        <p className={classes['soft']}>{resources.length - SHOWN} more are in the JSON file.</p>
      )}
    </section>
  )
}
