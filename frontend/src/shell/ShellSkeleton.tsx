import { Skeleton } from '@mantine/core'
import { Logo } from './Logo.js'
import rail from './Rail.module.css'
import classes from './Shell.module.css'
import topLine from './TopLine.module.css'

/** The frame before it is known who is here. */
export function ShellSkeleton() {
  return (
    <div className={classes['shell']} aria-busy="true">
      <div className={rail['rail']}>
        <div className={rail['brand']}>
          <Logo size={22} />
          <span>SandLabX</span>
        </div>
      </div>
      <div className={classes['column']}>
        <div className={topLine['line']} />
        <main className={classes['main']}>
          <Skeleton height={22} width={140} mb={24} />
          {Array.from({ length: 6 }, (_row, index) => (
            <Skeleton key={index} height={36} mb={8} />
          ))}
        </main>
      </div>
    </div>
  )
}
