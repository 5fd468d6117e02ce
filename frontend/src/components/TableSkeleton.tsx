import { Skeleton } from '@mantine/core'

/** A table before its rows are known. */
export function TableSkeleton({ rows }: { rows: number }) {
  return (
    <div aria-busy="true">
      {Array.from({ length: rows }, (_row, index) => (
        <Skeleton key={index} height={38} mb={4} />
      ))}
    </div>
  )
}
