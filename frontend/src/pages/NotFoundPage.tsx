import { ButtonLink } from '../components/ButtonLink.js'
import { useDocumentTitle } from '../components/PageHeader.js'
import classes from './LonePage.module.css'

/** Nothing here, or not yours: the two look the same. */
export function NotFoundPage({ what = 'page' }: { what?: string }) {
  useDocumentTitle('Not found')
  return (
    <div className={classes['inline']}>
      <h1>There is no such {what}</h1>
      <p>It may have been deleted, the address may have a slip in it, or it belongs to somebody else.</p>
      <div className={classes['actions']}>
        <ButtonLink to="/nodes">Go to the nodes</ButtonLink>
      </div>
    </div>
  )
}
