import { Skeleton } from '@mantine/core'

/** The list before it is known. */
export function NodesSkeleton() {
  return (
    <div aria-busy="true">
      <Skeleton height={24} width={140} mb={24} />
      <Skeleton height={32} width={360} mb={16} />
      {Array.from({ length: 6 }, (_row, index) => (
        <Skeleton key={index} height={40} mb={6} />
      ))}
    </div>
  )
}
