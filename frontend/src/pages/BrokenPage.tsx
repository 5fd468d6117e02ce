import { Button } from '@mantine/core'
import { useDocumentTitle } from '../components/PageHeader.js'
import classes from './LonePage.module.css'

/** A fault of the page itself, or a part of it that a newer version has replaced on the server. */
export function BrokenPage({ error }: { error: unknown }) {
  useDocumentTitle('Something broke')
  return (
    <div className={classes['inline']} role="alert">
      <h1>This part of the page broke</h1>
      <p>
        Nodes and their disks are not touched by this. Loading the page again usually mends it, above all after the
        server was updated.
      </p>
      <p>
        <code>{error instanceof Error ? error.message : String(error)}</code>
      </p>
      <div className={classes['actions']}>
        <Button onClick={() => location.reload()}>Load the page again</Button>
      </div>
    </div>
  )
}
