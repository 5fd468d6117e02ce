import type { OperationPlan } from '@domain/plan.js'
import { Words } from '../components/Words.js'
import { formatSize } from '../util/size.js'
import classes from './PlanFiles.module.css'

const SHOWN = 6

/** The disk files that a plan touches: how much each holds, and what becomes of it. */
export function PlanFiles({ files }: { files: OperationPlan['files'] }) {
  const rest = files.slice(SHOWN)
  return (
    <div className={classes['files']}>
      <ul aria-label="Files">
        {files.slice(0, SHOWN).map((file, index) => (
          <File key={`${file.path}-${index}`} file={file} />
        ))}
      </ul>
      {rest.length > 0 && (
        <details>
          <summary>
            {rest.length} more {rest.length === 1 ? 'file' : 'files'},{' '}
            {formatSize(rest.reduce((sum, { bytes }) => sum + bytes, 0))}
          </summary>
          <ul aria-label="More files">
            {rest.map((file, index) => (
              <File key={`${file.path}-${index}`} file={file} />
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}

/** A short fate stands beside the size, a sentence below. */
const SHORT = 22

function File({ file: { path, bytes, fate } }: { file: OperationPlan['files'][number] }) {
  const short = fate.length <= SHORT
  return (
    <li>
      <code title={path}>{path.split('/').at(-1)}</code>
      <span className={classes['bytes']}>
        {formatSize(bytes)}
        {short && `, ${fate}`}
      </span>
      {!short && (
        <span className={classes['fate']}>
          <Words>{fate}</Words>
        </span>
      )}
    </li>
  )
}
