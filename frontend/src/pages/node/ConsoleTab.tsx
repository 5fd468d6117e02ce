import { getRouteApi } from '@tanstack/react-router'
import { useConsoleTools } from '../../components/use-console-tools.js'
import { useNode, usePendingPower } from '../../api/nodes.js'
import { ButtonLink } from '../../components/ButtonLink.js'
import { ConsolePane } from '../../consoles/ConsolePane.js'
import classes from './ConsoleTab.module.css'

const route = getRouteApi('/nodes/$nodeId/console')

/** The node's console in its page; which one is kept in the address. */
export function ConsoleTab() {
  const { nodeId } = route.useParams()
  const { kind = 'serial', mode = 'control' } = route.useSearch()
  const navigate = route.useNavigate()
  const { data: node } = useNode(nodeId)
  const tools = useConsoleTools()
  const startPending = usePendingPower(nodeId) === 'start'
  if (!node) return null
  return (
    <div className={classes['tab']}>
      <div className={classes['pane']}>
        <div className={classes['fill']}>
          <ConsolePane
            {...tools}
            node={node}
            kind={kind}
            mode={mode}
            startPending={startPending}
            onKindChange={(next) => void navigate({ search: { kind: next, mode }, replace: true })}
            onModeChange={(next) => void navigate({ search: { kind, mode: next }, replace: true })}
          />
        </div>
      </div>
      <ButtonLink
        to="/consoles"
        search={{ layout: `${nodeId}~${kind}~${mode}` }}
        variant="subtle"
        color="gray"
        size="xs"
        className={classes['wide'] ?? ''}
      >
        Open beside other consoles
      </ButtonLink>
    </div>
  )
}
