import { PageHeader } from '../components/PageHeader.js'
import classes from './storage/Storage.module.css'
import { TrashList } from './storage/TrashList.js'

/** What one has thrown away and can still bring back. */
export function TrashPage() {
  return (
    <div className={classes['page']}>
      <PageHeader title="Trash" description="What was deleted or reset, as long as it can be brought back." />
      <TrashList />
    </div>
  )
}
