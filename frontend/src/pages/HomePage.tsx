import { Navigate } from '@tanstack/react-router'
import { useCurrentUser } from '../api/current-user.js'
import { useNodes } from '../api/nodes.js'
import { NodesSkeleton } from './nodes/NodesSkeleton.js'

/** A student with one node lands in it; everybody else in the list. */
export function HomePage() {
  const user = useCurrentUser()
  const nodes = useNodes()
  if (nodes.isPending) return <NodesSkeleton />
  const [only, ...others] = nodes.data ?? []
  if (user.role === 'student' && only && others.length === 0) {
    return <Navigate to="/nodes/$nodeId" params={{ nodeId: only.id }} replace />
  }
  return <Navigate to="/nodes" replace />
}
