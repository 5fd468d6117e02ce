import type { ReactNode } from 'react'

/** A sentence of the server; what stands between backticks is something to type or the name of a file. */
export function Words({ children }: { children: string }): ReactNode {
  return children.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))
}
